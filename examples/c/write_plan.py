"""A subgraph of a compiled model as a plan for ``run_plan``: its buffers, its constants as files, its kernel calls.

    python -m examples.c.write_plan outputs/Model subgraph_0 plan_folder

Copies the kernels and writes the constants and ``plan.txt`` into ``plan_folder``. The plan reads each input of the
subgraph from ``<name>.in`` and writes each output to ``<name>.out``: raw bytes, dense and row-major.
"""

from __future__ import annotations

import sys
from pathlib import Path

from optima.artifact.reader import read_model
from optima.backends.base import SubgraphView
from optima.backends.kernel_route.meta import BufferMeta
from optima.backends.llvm.meta import LlvmSubgraph

#: dtype -> DLPack's code and bits
DTYPES = {
    "int8": "0 8", "int16": "0 16", "int32": "0 32", "int64": "0 64", "uint8": "1 8", "float16": "2 16",
    "float32": "2 32", "float64": "2 64", "bfloat16": "4 16", "complex64": "5 64", "bool": "6 8",
}  # fmt: skip


def write_plan(model: Path, subgraph: str, folder: Path) -> Path:
    """Write the plan of one subgraph of the LLVM backend into ``folder``, made if absent; returns the plan's path.

    Raises ArtifactError for a folder that is no whole model, KeyError for a subgraph that it does not have.
    """
    artifact = read_model(model)
    index = {part.name: i for i, part in enumerate(artifact.meta.subgraphs)}[subgraph]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.txt"
    path.write_text("\n".join(write_subgraph(artifact.subgraph_view(index), folder)) + "\n")
    return path


def write_subgraph(view: SubgraphView, folder: Path, prefix: str = "") -> list[str]:
    """Write a subgraph's kernels and constants into ``folder``; returns the plan's lines.

    ``prefix`` ("part_1/") is where that folder lies from the one that the driver runs in.
    """
    meta = LlvmSubgraph.model_validate(view.meta)
    for name, data in view.files.items():
        (folder / name).write_bytes(data)
    for name, array in view.constants.items():
        (folder / f"{name}.constant").write_bytes(array.tobytes())
    return _steps(meta, prefix)


def _steps(meta: LlvmSubgraph, prefix: str) -> list[str]:
    """The plan's lines. Tensor 0 is the arena that scratch tensors lie in."""
    number = {buffer.name: i for i, buffer in enumerate(meta.buffers, start=1)}
    lines = [f"begin {prefix}{meta.name}", f"tensor 1 8 1 {meta.arena_bytes}"]
    lines += [_tensor(buffer, number) for buffer in meta.buffers]
    lines += [f"read {number[b.name]} {prefix}{b.name}.constant" for b in meta.buffers if b.kind == "constant"]
    lines += [f"read {number[name]} {prefix}{name}.in" for name in meta.inputs]
    kernels = {kernel.name: kernel for kernel in meta.kernels}
    for call in meta.calls:
        kernel = kernels[call.kernel]
        args = " ".join(str(number[name]) for name in call.args)
        lines.append(f"call ./{prefix}{kernel.file} {kernel.symbol} {len(call.args)} {args}")
    lines += [f"copy {number[out]} {number[source]}" for out, source in meta.copies]
    return lines + [f"write {number[name]} {prefix}{name}.out" for name in dict.fromkeys(meta.outputs)]


def _tensor(buffer: BufferMeta, number: dict[str, int]) -> str:
    form = f"{DTYPES[buffer.dtype]} {len(buffer.shape)} {' '.join(map(str, buffer.shape))}".rstrip()
    if buffer.kind == "scratch":
        return f"view 0 {buffer.offset} {form}"
    # What an alias stands for comes before it in the list.
    return f"view {number[buffer.alias_of]} 0 {form}" if buffer.kind == "alias" else f"tensor {form}"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(write_plan(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
