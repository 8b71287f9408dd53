"""One kernel group's job: group text -> CUDA C++ -> cubin and PTX, in one archive with the text itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optima.backends.cuda.compiler import compiled, find_compiler
from optima.backends.gpu_route.job import archive, source_of
from optima.kernels.gpu.printer.cuda import CUDA


def compile_kernel(payload: Mapping[str, Any]) -> bytes:
    """``0.cu``, ``0.ptx`` and, unless ``form`` is "ptx", ``0.cubin`` for the first launch, and so on.

    Pure: the bytes depend on the payload and the tools only. Raises ToolFailed, ToolMissing and Unprintable.
    """
    made = source_of(payload, CUDA)
    texts = [launch["text"] for launch in made["launches"]]
    suffixes = ("ptx",) if payload["form"] == "ptx" else ("ptx", "cubin")
    compiler = find_compiler(payload["compiler"])
    images = compiled(texts, compiler, payload["architecture"], suffixes, payload["timeout_s"])
    files = {**{f"{k}.cu": text.encode() for k, text in enumerate(texts)}, **images}
    return archive(made, files, [{"has_cubin": "cubin" in suffixes}] * len(texts))
