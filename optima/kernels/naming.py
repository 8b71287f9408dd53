"""What a kernel is called and what its bytes depend on: equal groups share one kernel, whatever they are named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from optima.graph import Graph, Tensor

#: ops named in a kernel's name; longer chains are cut, the digest tells them apart
_NAMED_OPS = 3


class Target(Protocol):
    """What kernels are compiled for, resolved."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: all of the target that a kernel's bytes depend on."""


def canonical(group: Graph) -> Graph:
    """The group as its kernel sees it: tensors and ops renumbered; no origin, device, annotation, value or recipe."""
    order = dict.fromkeys((*group.inputs, *(p.name for p in group.params)))
    for op in group.ops:
        order.update(dict.fromkeys(op.outputs))
    names = {old: f"t{i}" for i, old in enumerate(order)}
    tensors = {new: Tensor(new, group.type_of(old), is_param=group.tensors[old].is_param) for old, new in names.items()}
    ops = tuple(
        replace(
            op,
            name=f"op{i}",
            inputs=tuple(names[n] for n in op.inputs),
            outputs=tuple(names[n] for n in op.outputs),
            origins=(),
            devices=(),
            kernel="",
        )
        for i, op in enumerate(group.ops)
    )
    return Graph("kernel", ops, tensors, tuple(names[n] for n in group.inputs), tuple(names[n] for n in group.outputs))


def kernel_key(group: Graph, target: Target, versions: Mapping[str, str]) -> str:
    """Hex sha256 of all that the kernel's bytes depend on. ``versions``: see ``toolchain_versions``."""
    text = json.dumps(
        [canonical(group).dump(), target.to_dict(), dict(versions)], sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


def kernel_name(group: Graph, key: str) -> str:
    """A C identifier that a reader recognises: ``conv2d_blocked_relu_1a2b3c4d5e``."""
    ops = [op.op for op in group.ops][:_NAMED_OPS]
    stem = "".join(c if c.isalnum() else "_" for c in "_".join(ops))
    return f"{stem}_{key[:10]}"


@cache
def toolchain_versions() -> Mapping[str, str]:
    """What, besides group and target, decides a kernel's bytes: TVM, and Optima's computes and schedules."""
    try:
        tvm = version("apache-tvm")
    except PackageNotFoundError:
        tvm = ""
    return {"apache-tvm": tvm, "kernels": sources_digest("kernels", "ops")}


@cache
def sources_digest(*rooms: str) -> str:
    """sha256 over the source text of folders of ``optima``: an edited compute is another kernel.

    C counts like Python: some of it is linked into kernels.
    """
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for room in rooms:
        sources = (file for file in (root / room).rglob("*.*") if file.suffix in (".py", ".c"))
        for file in sorted(sources, key=lambda f: f.relative_to(root).as_posix()):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
