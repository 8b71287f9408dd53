"""Names of a kernel's variables and buffers, and what is known of its indices."""

from __future__ import annotations

from typing import Any

from optima.kernels.gpu.launches import printable, unprintable
from optima.kernels.gpu.printer.dialect import Argument, Shared

_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")


class Names:
    """One kernel's names, given in order of first use.

    ``globals_``: a buffer of the function -> its place among parameters and temporaries.
    ``views``: buffer -> the one whose memory it is. ``zeros``: variables that are 0.
    """

    def __init__(self, globals_: dict[Any, int], views: dict[Any, Any], zeros: tuple[Any, ...]) -> None:
        from tvm import sym

        self._globals, self._views = globals_, dict(views)
        self._variables: dict[Any, str] = dict.fromkeys(zeros, "0")
        self._local: dict[Any, str] = {}
        self._taken = 0
        self.analyzer = sym.Analyzer()
        #: position of the global buffer -> its argument, in order of first use
        self.arguments: dict[int, Argument] = {}
        self.shared: list[Shared] = []

    def fresh(self, stem: str) -> str:
        """A name that nothing has."""
        self._taken += 1
        return f"{stem}{self._taken}"

    def declare(self, variable: Any) -> str:
        """A name for a variable; within its scope the one that ``variable`` gives."""
        stem = "".join(c for c in str(variable.name) if c.isascii() and c.isalpha())[:12] or "v"
        name = self.fresh(f"{stem}_")
        self._variables[variable] = name
        return name

    def variable(self, variable: Any) -> str:
        """The name of a variable. Raises Unprintable for one that nothing declares."""
        if variable not in self._variables:
            raise unprintable(f"the free variable {variable}")
        return self._variables[variable]

    def view(self, buffer: Any, source: Any) -> None:
        """``buffer`` names the memory of ``source``."""
        self._views[buffer] = source

    def allocate(self, buffer: Any, length: int) -> str:
        """A name for an array of the kernel's own: of a thread ("local"), or of the workgroup ("shared")."""
        dtype = printable(str(buffer.dtype))
        shared = buffer.scope().startswith("shared")
        name = self.fresh("shared_" if shared else "local_")
        self._local[self._root(buffer)] = name
        if shared:
            self.shared.append(Shared(name, dtype, length))
        return name

    def buffer(self, buffer: Any, *, written: bool) -> str:
        """The name of a buffer's memory."""
        root = self._root(buffer)
        if root in self._local:
            return self._local[root]
        if root not in self._globals:
            raise unprintable(f"the memory of {buffer.name}, which nothing allocates,")
        place = self._globals[root]
        dtype = printable(str(buffer.dtype))
        dtype = "uint8" if dtype == "bool" else dtype
        known = self.arguments.get(place, Argument(f"b{place}", dtype, False))
        if known.dtype != dtype:
            raise unprintable(f"one memory read as {known.dtype} and {dtype}")
        self.arguments[place] = Argument(known.name, dtype, known.written or written)
        return known.name

    def is_global(self, buffer: Any) -> bool:
        """Whether the memory is the whole function's: a parameter or a temporary."""
        return self._root(buffer) in self._globals

    def is_stored_bool(self, buffer: Any) -> bool:
        """Whether a buffer holds bools as bytes, as every border does."""
        return str(buffer.dtype) == "bool" and self._root(buffer) not in self._local

    def bound(self, variable: Any, low: Any, extent: Any) -> None:
        """``variable`` lies in ``low .. low + extent - 1``."""
        from tvm.ir import Range

        self.analyzer.bind(variable, Range.from_min_extent(low, extent))

    def never_negative(self, node: Any) -> bool:
        """Whether an integer is known to be 0 or more."""
        if str(node.ty.dtype) in _UNSIGNED:
            return True
        return bool(self.analyzer.can_prove(node >= 0))

    def _root(self, buffer: Any) -> Any:
        while buffer in self._views:
            buffer = self._views[buffer]
        return buffer
