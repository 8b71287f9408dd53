"""What users see of a model's inputs and outputs, and how a border's layout maps to the stored one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optima.artifact.manifest import SymbolMeta, TensorMeta
from optima.runtime.enums import ElementType
from optima.runtime.errors import UnknownTensor

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a model, as the caller gives or gets it.

    ``shape`` is in the order of ``layout``: "NHWC" has the channels last, "" is PyTorch's own order.
    ``label`` is the user's argument name for an input and the place in the result for an output; ``name`` is
    the tensor's name in the graph. ``logical_shape`` is PyTorch's. ``bounded`` names the axes of ``shape`` whose
    size is known only at run time, with the symbol that counts it: ``shape`` has the upper bound there, and an
    array of results only as many rows as there are.
    """

    name: str
    label: str
    shape: tuple[int, ...]
    dtype: ElementType
    layout: str
    logical_shape: tuple[int, ...]
    bounded: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, meta: TensorMeta, symbols: Sequence[SymbolMeta] = ()) -> TensorInfo:
        """The caller's view of a manifest entry."""
        axes = border_axes(meta)
        shape = tuple(meta.shape[axis] for axis in axes)
        bounded = {axes.index(axis): s.name for s in symbols for name, axis in s.axes if name == meta.name}
        return cls(meta.name, meta.label, shape, ElementType(meta.dtype), meta.layout, meta.shape, bounded)

    @property
    def title(self) -> str:
        """What errors and result dictionaries call it: the label where there is one."""
        return self.label or self.name

    def __str__(self) -> str:
        layout = f" {self.layout}" if self.layout else ""
        sizes = [f"<={size}" if axis in self.bounded else str(size) for axis, size in enumerate(self.shape)]
        return f"{self.title}: {self.dtype.value}[{', '.join(sizes)}]{layout}"


def border_axes(meta: TensorMeta) -> tuple[int, ...]:
    """Which stored axis each axis of the caller's array is: NHWC is (0, 2, ..., n-1, 1)."""
    rank = len(meta.shape)
    if meta.layout == "NHWC" and rank >= 3:
        return (0, *range(2, rank), 1)
    return tuple(range(rank))


def find(infos: Sequence[TensorInfo], key: int | str, what: str) -> int:
    """The index of a tensor given by index, label or name. Raises UnknownTensor."""
    if isinstance(key, str):
        found = [i for i, t in enumerate(infos) if key in (t.label, t.name)]
        if found:
            return found[0]
    else:
        try:
            index = operator.index(key)
        except TypeError:
            index = -1
        if 0 <= index < len(infos):
            return index
    titles = ", ".join(f"{i}: {t.title!r}" for i, t in enumerate(infos)) or "none"
    raise UnknownTensor(f"the model has no {what} {key!r}", hint=f"its {what}s are {titles}")


class Tensor:
    """An input or output of one request. It refers to the request's buffer; data goes in and out by copy."""

    def __init__(self, info: TensorInfo, read: Callable[[], Array], write: Callable[[Any], None]) -> None:
        """Used by ``InferRequest``."""
        self.info = info
        self._read = read
        self._write = write

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in the caller's layout; an upper bound where ``info.bounded`` says so."""
        return self.info.shape

    @property
    def dtype(self) -> ElementType:
        """The dtype of its elements."""
        return self.info.dtype

    def copy_from(self, array: Any) -> None:
        """Copy ``array`` in. Raises InputError for another shape or dtype, RequestError while it runs, or for
        an output."""
        self._write(array)

    def to_numpy(self) -> Array:
        """A copy that the caller owns. Raises RequestError while the request runs."""
        return self._read()

    def __repr__(self) -> str:
        return f"<Tensor {self.info}>"
