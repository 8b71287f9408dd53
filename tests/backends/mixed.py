"""Model folders whose files do not belong together while every hash is right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def rewrite(model: Path, files: Mapping[str, bytes], **first_subgraph: Any) -> None:
    """Replace files of a model folder, by their path in it, and fields of its first subgraph; mend the hashes."""
    meta = json.loads((model / "model.meta").read_text())
    meta["subgraphs"][0].update(first_subgraph)
    for entry in meta["files"]:
        data = files.get(entry["path"])
        if data is not None:
            (model / entry["path"]).write_bytes(data)
            entry.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    assert set(files) <= {entry["path"] for entry in meta["files"]}
    (model / "model.meta").write_text(json.dumps(meta))


def meta_bytes(model: Path, **changes: Any) -> bytes:
    """The first subgraph's meta with other values."""
    meta = json.loads((model / "Subgraph_0/subgraph_0.meta").read_text())
    return json.dumps({**meta, **changes}).encode()
