"""The simulator with arrays that watch who uses them: races, elements beyond an end, and elements that nobody set.

The simulator runs the threads of a block in one order or the other, and a C++ compiler may take an unset value for any:
a race can stay unseen. Here each access is looked at, whatever its result.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optima.backends.cuda.meta import CudaSubgraph, KernelMeta
from optima.backends.cuda.simulator import HEADER, HostStream, Simulator

_WATCHED = Path(__file__).with_name("watched.h")
_ARRAY = re.compile(r"^(\s*)(__shared__ )?(\w+) ((?:shared|local)_\d+)\[(\d+)\];$")
_STORE = re.compile(r"^(\s*)((?:b|shared_|local_)\d+)\[")


class Watched(Simulator):
    """``faults``: what was found, launch by launch. ``barriers``: False leaves them out of the text."""

    def __init__(self, *, barriers: bool = True) -> None:
        super().__init__()
        self.faults: list[str] = []
        self._barriers = barriers

    def functions(self, meta: CudaSubgraph, files: Mapping[str, bytes]) -> Mapping[str, Any]:
        """See ``Device``."""
        parts = [HEADER.read_text(), _WATCHED.read_text()]
        for kernel in meta.kernels:
            text = files[kernel.source].decode()
            text = text if self._barriers else text.replace("__syncthreads();", "")
            meets = "true" if "__syncthreads(" in text else "false"
            parts.append(f"{watched(text)}OPTIMA_LAUNCH({kernel.entry_point}, {meets})\n")
        self.library = self._library("".join(parts))
        self.library.found_faults.restype = ctypes.c_char_p
        nbytes = {b.name: b.nbytes for b in meta.buffers}
        self.sizes = {call.kernel: [nbytes[name] for name in call.args] for call in meta.calls}
        return {k.name: getattr(self.library, f"launch_{k.entry_point}") for k in meta.kernels}

    def stream(self, marks: int) -> HostStream:
        """See ``Device``."""
        return _WatchedStream(self, marks)


class _WatchedStream(HostStream):
    def __init__(self, device: Watched, marks: int) -> None:
        super().__init__(reversed_threads=False, marks=marks)
        self._device = device

    def launch(self, function: Any, kernel: KernelMeta, addresses: Sequence[int]) -> None:
        count, sizes = len(addresses), self._device.sizes[kernel.name]
        places, nbytes = (ctypes.c_void_p * count)(*addresses), (ctypes.c_longlong * count)(*sizes)
        self._device.library.watch(count, places, nbytes)
        super().launch(function, kernel, addresses)
        found = self._device.library.found_faults().decode()
        if found:
            self._device.faults.append(f"{kernel.name}: {found}")


def watched(text: str) -> str:
    """A kernel's text over watched arrays: what the printer declares, and its stores."""
    before, begins, kernel = text.partition('extern "C"')
    signature, *lines = kernel.split("\n")
    signature = re.sub(r"(?:const )?(\w+)\* __restrict__ (b\d+)", r"Global<\1> \2", signature)
    return before + begins + "\n".join([signature, *map(_line, lines)])


def _line(line: str) -> str:
    if array := _ARRAY.match(line):
        indent, shared, dtype, name, length = array.groups()
        kind = "static thread_local Shared" if shared else "Local"
        return f"{indent}{kind}<{dtype}, {length}> {name};"
    store = _STORE.match(line)
    end = _closing(line, store.end()) if store else 0
    if store is None or not line[end:].startswith("] = "):
        return line
    return f"{store[1]}{store[2]}.store({line[store.end() : end]}, {line[end + 4 : -1]});"


def _closing(line: str, start: int) -> int:
    """Where the bracket closes that was opened before ``start``."""
    depth = 1
    for place in range(start, len(line)):
        depth += {"[": 1, "]": -1}.get(line[place], 0)
        if not depth:
            return place
    return len(line)
