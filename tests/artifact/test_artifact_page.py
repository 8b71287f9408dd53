"""docs/artifact.md names every key of the manifest."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from optima.artifact import manifest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "artifact.md").read_text()
MODELS = (
    manifest.ModelMeta, manifest.TensorMeta, manifest.FileMeta, manifest.TransferMeta, manifest.SubgraphMeta,
    manifest.SourceLine, manifest.SymbolMeta, manifest.FormMeta,
)  # fmt: skip


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_every_key_is_described(model: type[BaseModel]) -> None:
    assert not [key for key in model.model_fields if f"`{key}`" not in PAGE]
