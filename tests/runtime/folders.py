"""Model folders made by hand from small kernels, so that the runtime is tested without the compile half."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from optima.artifact.manifest import ModelMeta, SubgraphMeta, TensorMeta, json_bytes
from optima.artifact.weights import pack_weights
from optima.artifact.writer import check_target, write_model
from optima.backends.base import Constant
from tests.native import kernels

TRIPLE = f"{platform.machine()}-linux-gnu"


def tensor(name: str, shape: Sequence[int], dtype: str = "float32", **more: str) -> TensorMeta:
    """A manifest entry."""
    return TensorMeta(name=name, shape=tuple(shape), dtype=dtype, **more)


def buffer(name: str, shape: Sequence[int], kind: str, dtype: str = "float32", **more: Any) -> dict[str, Any]:
    """A buffer of a subgraph's meta."""
    return {"name": name, "shape": list(shape), "dtype": dtype, "kind": kind, **more}


def call(kernel: str, *args: str, channels: int = 0) -> dict[str, Any]:
    """A kernel call whose last argument is its result."""
    return {
        "kernel": kernel,
        "args": list(args),
        "ops": [f"{kernel}_op"],
        "results": {args[-1].partition(".nchw")[0]: [args[-1], channels]},
    }


@dataclass
class Part:
    """A subgraph by hand."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    buffers: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    kernels: dict[str, bytes] = field(default_factory=dict)
    constants: list[Constant] = field(default_factory=list)
    copies: list[list[str]] = field(default_factory=list)
    arena_bytes: int = 0
    devices: tuple[str, ...] = ("X64:0",)
    backend: str = "llvm"
    target: dict[str, Any] = field(default_factory=lambda: {"triple": TRIPLE, "features": []})
    files: dict[str, bytes] = field(default_factory=dict)
    meta: dict[str, Any] | None = None

    def meta_of(self, name: str) -> dict[str, Any]:
        """The LLVM backend's meta, or the given one."""
        if self.meta is not None:
            return self.meta
        return {
            "format_version": 1,
            "kernel_abi": 1,
            "name": name,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "copies": self.copies,
            "buffers": self.buffers,
            "constants": [{"name": c.name, "key": c.key, "recipe": c.recipe} for c in self.constants],
            "kernels": [{"name": k, "file": f"{k}.so", "symbol": f"__tvm_ffi_{k}"} for k in self.kernels],
            "calls": self.calls,
            "arena_bytes": self.arena_bytes,
        }


def constant(name: str, array: np.ndarray[Any, Any], dtype: str = "") -> Constant:
    """A constant without a recipe."""
    return Constant(name, array, dtype or array.dtype.name, ["frozen", "made by a test"])


def leaf_tree(outputs: Sequence[TensorMeta]) -> str:
    """An out_tree: one tensor as it is, several as a tuple."""
    leaves = [{"leaf": i} for i in range(len(outputs))]
    return json.dumps(leaves[0] if len(leaves) == 1 else {"tuple": leaves})


def write(
    root: Path,
    parts: Sequence[Part],
    inputs: Sequence[TensorMeta],
    outputs: Sequence[TensorMeta],
    borders: Sequence[TensorMeta] = (),
    constants: Mapping[str, Constant] | None = None,
    out_tree: str = "",
    request_bytes: int = 0,
    name: str = "Net",
) -> Path:
    """Write a model folder as ``optimize`` would; gives its path."""
    files: dict[str, bytes] = {}
    subgraphs = []
    stored = [c for part in parts for c in part.constants] + list((constants or {}).values())
    for i, part in enumerate(parts):
        folder = f"Subgraph_{i}"
        files[f"{folder}/subgraph_{i}.meta"] = json_bytes(part.meta_of(f"subgraph_{i}"))
        files |= {f"{folder}/{kernel}.so": data for kernel, data in part.kernels.items()}
        files |= {f"{folder}/{path}": data for path, data in part.files.items()}
        subgraphs.append(
            SubgraphMeta(
                name=f"subgraph_{i}",
                folder=folder,
                devices=part.devices,
                backend=part.backend,
                inputs=part.inputs,
                outputs=part.outputs,
                ops=(f"op_{i}",),
                target=part.target,
            )  # fmt: skip
        )
    files["weights.safetensors"] = pack_weights(stored)
    in_tree = {"args": [[t.label or t.name, {"leaf": i}] for i, t in enumerate(inputs)], "kwargs": []}
    meta = ModelMeta(
        format_version=1, kernel_abi=1, name=name, toolchain={"optima": "0.1.0"}, graph_sha256="0" * 64,
        inputs=tuple(inputs), outputs=tuple(outputs), in_tree=json.dumps(in_tree),
        out_tree=out_tree or leaf_tree(outputs), borders=tuple(borders),
        constants={n: c.key for n, c in (constants or {}).items()}, subgraphs=tuple(subgraphs), transfers=(),
        folded=(), source_map=(), request_bytes=request_bytes, weight_bytes=0,
    )  # fmt: skip
    return write_model(check_target(root, name), meta, files)


def simple(root: Path, shape: tuple[int, ...] = (4, 8), *, name: str = "Net", **changes: Any) -> Path:
    """``x, y -> x + y`` in one subgraph."""
    part = Part(
        ("x", "y"), ("z",),
        buffers=[buffer(n, shape, "border") for n in "xyz"],
        calls=[call("add", "x", "y", "z")],
        kernels={"add": kernels.add(shape)},
    )  # fmt: skip
    for key, value in changes.items():
        setattr(part, key, value)
    inputs = [tensor("x", shape, label="left"), tensor("y", shape, label="right")]
    return write(root, [part], inputs, [tensor("z", shape)], name=name)


def rich(root: Path, shape: tuple[int, ...] = (16, 32)) -> Path:
    """Two subgraphs with scratch, an alias, a constant, a copy and every odd kind of output.

    ``t = x + y``, ``b = 6 t`` in the first, ``out = b + c`` in the second; the outputs are ``out`` twice, the
    input ``x``, the constant ``c``, and the border ``t``.
    """
    rng = np.random.default_rng(0)
    c = constant("c", rng.normal(size=shape).astype(np.float32))
    flat = (shape[0] * shape[1],)
    nbytes = flat[0] * 4
    first = Part(
        ("x", "y"), ("t", "b"),
        buffers=[
            *(buffer(n, shape, "border") for n in ("x", "y", "t", "b")),
            buffer("u", shape, "scratch", offset=0),
            buffer("v", flat, "alias", alias_of="u"),
            buffer("w", flat, "scratch", offset=nbytes),
            buffer("w2", shape, "alias", alias_of="w"),
        ],
        calls=[call("add", "x", "y", "t"), call("double", "t", "u"), call("triple", "v", "w")],
        kernels={
            "add": kernels.add(shape),
            "double": kernels.scale(shape, 2.0, "double"),
            "triple": kernels.scale(flat, 3.0, "triple"),
        },
        copies=[["b", "w2"]],
        arena_bytes=2 * nbytes,
    )  # fmt: skip
    second = Part(
        ("b",), ("out",),
        buffers=[
            buffer("b", shape, "border"), buffer("out", shape, "border"), buffer("c", shape, "constant"),
        ],
        calls=[call("add", "b", "c", "out")],
        kernels={"add": kernels.add(shape)},
        constants=[c],
        devices=("X64:1",),
    )  # fmt: skip
    inputs = [tensor("x", shape, label="left"), tensor("y", shape, label="right")]
    outputs = [
        tensor("out", shape, label="sum"), tensor("out", shape, label="again"),
        tensor("x", shape, label="in"), tensor("c", shape, label="const"), tensor("t", shape, label="border"),
    ]  # fmt: skip
    tree = {"dict": [[t.label, {"leaf": i}] for i, t in enumerate(outputs)]}
    return write(
        root, [first, second], inputs, outputs, [tensor("b", shape)], {"c": c}, json.dumps(tree),
        request_bytes=5 * nbytes + 2 * nbytes,
    )  # fmt: skip
