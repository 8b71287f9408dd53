"""An unpickler that builds stand-ins only: no class, function or array of a file is ever the real one.

Allowing the real networkx and numpy classes would not be enough: pickle can set attributes on any class it
names, and numpy's own ``__setstate__`` trusts its input. So each load makes throwaway classes, and what they
collected is checked and rebuilt afterwards.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from torch2nx.errors import GraphError, UnsafePickle

#: numpy's codes of the dtypes that a graph's values may have
_DTYPE_CODES: Final = {"f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "u2", "b1"}

#: views that networkx caches inside a graph; they are read and dropped
_GRAPH_MODULES: Final = {
    "networkx.classes.digraph", "networkx.classes.graph", "networkx.classes.reportviews",
    "networkx.classes.coreviews",
}  # fmt: skip
_ARRAY_MODULES: Final = {"numpy.core.multiarray", "numpy._core.multiarray"}
_BUFFER_MODULES: Final = {"numpy.core.numeric", "numpy._core.numeric"}
_CONTAINERS: Final = {"dict": dict, "list": list, "tuple": tuple}

#: what a damaged pickle makes the C unpickler raise, besides UnpicklingError
_DAMAGE: Final = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError,
    ValueError, OverflowError, MemoryError, RecursionError, NotImplementedError,
)  # fmt: skip


def load_parts(data: bytes, name: str) -> tuple[dict[str, Any], dict[Any, dict[str, Any]], dict[Any, dict[Any, Any]]]:
    """The attributes, nodes and adjacency of a pickled DiGraph, arrays rebuilt.

    ``name`` stands for the file in errors. Raises UnsafePickle or GraphError.
    """
    reader = _Reader(data, name)
    try:
        top = reader.load()
    except GraphError:
        raise
    except _DAMAGE as error:
        raise GraphError(
            f"{name} is truncated, damaged or no pickle: {error}",
            hint="export the graph again with export_to_gpickle",
        ) from error
    if not isinstance(top, reader.digraph):
        raise GraphError(
            f"{name} holds a {type(top).__name__.strip('_')}, not a networkx.DiGraph",
            hint="pass the file that export_to_gpickle wrote",
        )
    state = vars(top)
    parts = [state.get(key) for key in ("graph", "_node", "_adj")]
    if not all(type(part) is dict for part in parts):
        raise GraphError(f"{name} holds a DiGraph without its nodes or edges")
    rebuild = _Rebuilder(name, len(data))
    graph, nodes, adjacency = (rebuild.value(part) for part in parts)
    for table in (nodes, adjacency):
        if not all(type(k) is str and type(v) is dict for k, v in table.items()):
            raise GraphError(f"{name} holds a DiGraph whose nodes are not text, or whose data are not dicts")
    return graph, nodes, adjacency


class _Array:
    """Collects what an array's pickle says about it."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Dtype:
    """Collects what a dtype's pickle says about it."""

    order: Any = "="

    def __init__(self, code: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        if type(state) is tuple and len(state) > 1:
            self.order = state[1]


class _Reader(pickle.Unpickler):
    """One load. ``digraph`` is this load's stand-in for networkx.DiGraph."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(io.BytesIO(data))
        self._name = name
        self._known: dict[tuple[str, str], Any] = {}
        self.digraph = self.find_class("networkx.classes.digraph", "DiGraph")

    def find_class(self, module: str, name: str, /) -> Any:
        """The stand-in for a global; UnsafePickle for any that a graph does not hold."""
        key = (module, name)
        if key not in self._known:
            self._known[key] = self._stand_in(module, name)
        return self._known[key]

    def _stand_in(self, module: str, name: str) -> Callable[..., Any]:
        if module in _GRAPH_MODULES and "." not in name:
            return type(f"_{name}", (), {})
        if (module, name) == ("numpy", "ndarray"):
            return type("_ndarray", (), {})
        if (module, name) == ("numpy", "dtype"):
            return lambda code, align=False, copy=False: _dtype_class(code)
        if module in _ARRAY_MODULES and name == "_reconstruct":
            # The real array comes from the state; what stands here is always (ndarray, (0,), b"b").
            return lambda *ignored: type("_array", (_Array,), {})()
        if module in _BUFFER_MODULES and name == "_frombuffer":
            return _array_of_buffer
        if (module, name) == ("_codecs", "encode"):
            # How protocol 2 spells bytes.
            return lambda text, encoding: text.encode("latin-1") if encoding == "latin1" else None
        if module == "builtins" and name in _CONTAINERS:
            container = _CONTAINERS[name]
            return lambda *args: container(*args)
        raise UnsafePickle(
            f"{self._name} names {module}.{name}, which a graph never holds; nothing was executed",
            hint="do not trust where this file came from; export the graph again with export_to_gpickle",
        )


def _dtype_class(code: Any) -> _Dtype:
    made: _Dtype = type("_dtype", (_Dtype,), {})(code)
    return made


def _array_of_buffer(buffer: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None) -> _Array:
    if axis_order is not None:
        raise GraphError("an array with permuted axes is not part of a graph")
    made: _Array = type("_array", (_Array,), {})()
    made.state = (1, shape, dtype, order == "F", bytes(buffer) if isinstance(buffer, bytearray) else buffer)
    return made


class _Rebuilder:
    """Replaces every array stand-in by the array, and copies plain containers.

    ``budget`` bounds the work: an honest file spends at least one byte on each item, while one that refers to
    the same list over and over unfolds to more than any memory holds.
    """

    def __init__(self, name: str, budget: int) -> None:
        self._name = name
        self._budget = budget

    def value(self, value: Any, depth: int = 12) -> Any:
        self._budget -= 1
        if depth == 0 or self._budget < 0:
            raise GraphError(f"{self._name} is nested in a way that no graph is")
        if isinstance(value, _Array):
            return _array(value.state, self._name)
        if type(value) is dict:
            return {k: self.value(v, depth - 1) for k, v in value.items()}
        if type(value) is list:
            return [self.value(v, depth - 1) for v in value]
        return value


def _array(state: Any, name: str) -> np.ndarray[Any, Any]:
    if type(state) is not tuple or len(state) != 5:
        raise GraphError(f"{name} holds an array without a state")
    _, shape, dtype, column_major, data = state
    if (
        not isinstance(dtype, _Dtype)
        or type(dtype.code) is not str
        or dtype.code not in _DTYPE_CODES
        or dtype.order not in ("<", ">", "=", "|")
    ):
        code = dtype.code if isinstance(dtype, _Dtype) else dtype
        what = "an object array" if str(code).startswith("O") else f"an array of dtype {code!r}"
        raise GraphError(f"{name} holds {what}, which a graph never holds; nothing was executed")
    if type(shape) is not tuple or not all(type(d) is int and d >= 0 for d in shape) or type(data) is not bytes:
        raise GraphError(f"{name} holds an array with a malformed shape or without bytes")
    real = np.dtype(dtype.code)
    if dtype.order in ("<", ">"):
        real = real.newbyteorder(dtype.order)
    count = 1
    for extent in shape:
        count *= extent
    if count * real.itemsize != len(data):
        raise GraphError(f"{name} holds an array of shape {shape} with {len(data)} bytes")
    if real.kind == "b" and data.translate(None, b"\x00\x01"):
        raise GraphError(f"{name} holds a bool array with other bytes than 0 and 1")
    array = np.frombuffer(data, dtype=real).reshape(shape, order="F" if column_major else "C")
    return array if real.isnative else array.astype(real.newbyteorder("="))
