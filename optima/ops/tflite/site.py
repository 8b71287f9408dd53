"""What a rule sees of the op that it emits: its types and attributes, its operands in any order, the writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optima.graph import TensorType
from optima.ops.entry import OpView
from optima.ops.indices import axis
from optima.ops.tflite.layout import Array, Forms, Laid, Order, Shape, channels_last, plain, stored
from optima.ops.tflite.writer import TfliteWriter


@dataclass(frozen=True)
class TfliteSite:
    """One op in the model that is being written; ``operands`` maps roles to tensors, parameters among them."""

    view: OpView
    operands: Mapping[str, Forms]
    writer: TfliteWriter

    @property
    def out(self) -> TensorType:
        """The type of the first output."""
        return self.view.outputs[0]

    @property
    def shape(self) -> Shape:
        """The shape of the first operand."""
        return self.view.first.shape

    @property
    def rank(self) -> int:
        """The number of axes of the first operand."""
        return len(self.shape)

    @property
    def first(self) -> Forms:
        """The first operand."""
        return next(iter(self.operands.values()))

    def attr(self, key: str, default: Any = None) -> Any:
        """An attribute, or ``default`` where neither the op nor its entry has it."""
        return self.view.attrs.get(key, default)

    def has(self, role: str) -> bool:
        """Whether the operand is there."""
        return role in self.operands

    def axis(self, key: str = "dim", default: Any = None) -> int:
        """An axis attribute of the first operand, counted from the front."""
        return axis(self.attr(key, default), self.rank)

    def array(self, role: str) -> Array:
        """The data of an operand that is a parameter."""
        found = self.operands[role].array
        if found is None:
            raise TypeError(f"{role} of {self.view.op} is no parameter")
        return found

    def made(self, role: str = "") -> Laid:
        """An operand ("": the first) in the order in which it was made."""
        tensor = self.operands[role] if role else self.first
        if tensor.array is not None:
            return Laid(self.plain(role), plain(len(tensor.shape)))
        return tensor.made

    def plain(self, role: str = "") -> str:
        """An operand ("": the first) in PyTorch's order."""
        tensor = self.operands[role] if role else self.first
        return self.writer.lay(tensor, plain(len(tensor.shape)))

    def laid(self, order: Order, role: str = "") -> str:
        """An operand ("": the first) in this order."""
        return self.writer.lay(self.operands[role] if role else self.first, order)

    def result(self, value: str) -> Laid:
        """A value in PyTorch's order, in the first output's shape."""
        return Laid(self.writer.reshape(value, self.out.shape), plain(len(self.out.shape)))

    def each(self, function: Callable[[str], str]) -> Laid:
        """A function of each element of the first operand, in whatever order it lies."""
        made = self.made()
        return Laid(function(made.value), made.order)

    def together(self, roles: Sequence[str]) -> tuple[Order, list[str]]:
        """Operands, or the numbers among the attributes that stand for them, broadcast together: an order of the
        output's axes, and each of them in it."""
        rank = len(self.out.shape)
        given = {r: widened(self.writer, self.operands[r], rank) for r in roles if r in self.operands}
        order = _cheapest(list(given.values()), rank)
        values = []
        for role in roles:
            if role in given:
                values.append(_compact(self.writer, given[role], order))
            else:
                values.append(self.writer.scalar(float(self.attr(role))))
        return order, values

    def together_alike(self, roles: Sequence[str]) -> tuple[Order, list[str]]:
        """Operands of one rank that do not broadcast: an order, and each of them in it."""
        tensors = [self.operands[r] for r in roles]
        order = _cheapest(tensors, len(tensors[0].shape))
        return order, [self.writer.lay(t, order) for t in tensors]


def widened(writer: TfliteWriter, tensor: Forms, rank: int) -> Forms:
    """The tensor with axes of one element in front, up to this many axes."""
    missing = rank - len(tensor.shape)
    if missing == 0:
        return tensor
    shape = (*[1] * missing, *tensor.shape)
    if tensor.array is not None:
        return Forms(shape, {}, tensor.array.reshape(shape))
    value = writer.reshape(writer.lay(tensor, plain(len(tensor.shape))), shape)
    return Forms(shape, {plain(rank): value})


def _cheapest(tensors: Sequence[Forms], rank: int) -> Order:
    """The order for which the fewest elements have to move; of equals the one with the channels last."""
    computed = [t for t in tensors if t.array is None]
    orders = list(dict.fromkeys(order for t in computed for order in t.by_order)) or [plain(rank)]

    def moved(order: Order) -> tuple[int, bool]:
        elements = sum(int(np.prod(t.shape)) for t in computed if order not in t.by_order)
        return elements, rank < 3 or order != channels_last(rank)

    return min(orders, key=moved)


def _compact(writer: TfliteWriter, tensor: Forms, order: Order) -> str:
    """The tensor in this order; a parameter without the axes of one element in front, as fast paths want it."""
    if tensor.array is None:
        return writer.lay(tensor, order)
    shape = list(stored(tensor.shape, order))
    while len(shape) > 1 and shape[0] == 1:
        shape.pop(0)
    return writer.data(tensor.array.transpose(order).reshape(shape))


def dims(value: Any) -> list[int]:
    """An int, or a list of ints, as a list."""
    return [value] if isinstance(value, int) else list(value)
