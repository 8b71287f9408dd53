"""Small model folders for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from optima.artifact.manifest import WEIGHTS, ModelMeta, SubgraphMeta, TensorMeta, TransferMeta, json_bytes
from optima.artifact.target import check_target
from optima.artifact.weights import pack_weights
from optima.artifact.writer import write_model
from optima.backends.base import Constant


def subgraph(index: int) -> SubgraphMeta:
    return SubgraphMeta(
        name=f"subgraph_{index}", folder=f"Subgraph_{index}", devices=(f"X64:{index}",), backend="llvm",
        inputs=(f"tensor_{index}",), outputs=(f"tensor_{index + 1}",), ops=(f"relu_{index}",),
        target={"triple": "x86_64-linux-gnu", "features": ["avx2", "fma"]},
    )  # fmt: skip


ALIAS = TransferMeta(
    tensor="tensor_1", source="subgraph_0", target="subgraph_1", nbytes=12, kind="alias"
)  # fmt: skip


def model_meta(**changes: Any) -> ModelMeta:
    """Two subgraphs in a row, nothing else of interest."""
    tensors = [TensorMeta(name=f"tensor_{i}", shape=(1, 3), dtype="float32") for i in range(3)]
    values: dict[str, Any] = {
        "format_version": 1, "kernel_abi": 1, "name": "Net", "toolchain": {"optima": "0.1.0"},
        "graph_sha256": "0" * 64, "inputs": (tensors[0],), "outputs": (tensors[2],),
        "in_tree": "", "out_tree": "",
        "borders": (tensors[1],), "constants": {}, "subgraphs": (subgraph(0), subgraph(1)),
        "transfers": (ALIAS,),
        "folded": (), "source_map": (), "request_bytes": 192, "weight_bytes": 12,
    }  # fmt: skip
    return ModelMeta(**{**values, **changes})


def constant(name: str = "w", seed: int = 0, shape: tuple[int, ...] = (3,)) -> Constant:
    array = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return Constant(name, array, "float32", ["param", name])


def model_files(kernel: bytes = b"\x7fELF", w: Constant | None = None) -> dict[str, bytes]:
    """The files that ``model_meta`` speaks of; both subgraphs read the constant ``w``."""
    w = w or constant()
    listed = {"name": w.name, "key": w.key, "recipe": w.recipe}
    meta = json_bytes({"format_version": 1, "constants": [listed]})
    files = {WEIGHTS: pack_weights([w])}
    for index in range(2):
        files[f"Subgraph_{index}/subgraph_{index}.meta"] = meta
        files[f"Subgraph_{index}/kernel.so"] = kernel
    return files


def write(output: Path, kernel: bytes = b"\x7fELF", name: str = "Net", **options: Any) -> Path:
    target = check_target(output, name)
    return write_model(target, model_meta(), model_files(kernel), lambda: b"{}\n", **options)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
