"""What tells recurrent layers apart, their gates and how they become the next state, and one pass of a layer.

The formulas are those of torch.nn.LSTM, GRU and RNN. A step adds up sums in *slots*, one per gate and unit; GRU
has one more, since its reset gate scales the hidden part of the new state before the input's part is added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from optima.ops.te_reduce import Expr

#: the sides that a slot sums: the input's products and bias, the hidden state's, or both
BOTH, INPUT, HIDDEN = "both", "input", "hidden"


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent layer.

    ``gates``: blocks of rows in ``w_ih`` and ``w_hh``. ``slots``: for each its gate, and the sides that it sums;
    the first ``gates`` of them are those that read ``w_hh``. ``hidden(slots, state)`` is the next hidden state,
    where ``state`` is the hidden state before, or what ``memory(slots, c)`` made of the cell state (LSTM).
    """

    gates: int
    slots: tuple[tuple[int, str], ...]
    hidden: Callable[[Sequence[Expr], Expr], Expr]
    memory: Callable[[Sequence[Expr], Expr], Expr] | None = None


def _lstm_memory(slots: Sequence[Expr], c: Expr) -> Expr:
    """``c' = f c + i g``."""
    from optima.ops.vector_math import sigmoid, tanh

    return sigmoid(slots[1]) * c + sigmoid(slots[0]) * tanh(slots[2])


def _lstm_hidden(slots: Sequence[Expr], c: Expr) -> Expr:
    """``h' = o tanh(c')``."""
    from optima.ops.vector_math import sigmoid, tanh

    return sigmoid(slots[3]) * tanh(c)


def _gru_hidden(slots: Sequence[Expr], h: Expr) -> Expr:
    """``h' = (h - n) z + n`` with ``n = tanh(input's part + r * hidden part)``."""
    from optima.ops.exact_math import let
    from optima.ops.vector_math import sigmoid, tanh

    reset, update, from_hidden, from_input = slots
    new = tanh(from_input + sigmoid(reset) * from_hidden)
    return let(new, lambda n: (h - n) * sigmoid(update) + n, "n")


def _tanh_hidden(slots: Sequence[Expr], h: Expr) -> Expr:
    from optima.ops.vector_math import tanh

    return tanh(slots[0])


def _relu_hidden(slots: Sequence[Expr], h: Expr) -> Expr:
    """``max(s, 0)``; NaN stays NaN."""
    from tvm import tirx

    from optima.ops.exact_math import at_least, dtype_of

    return at_least(slots[0], tirx.const(0.0, dtype_of(slots[0])))


CELLS = {
    "lstm": Cell(4, ((0, BOTH), (1, BOTH), (2, BOTH), (3, BOTH)), _lstm_hidden, _lstm_memory),
    "gru": Cell(3, ((0, BOTH), (1, BOTH), (2, HIDDEN), (2, INPUT)), _gru_hidden),
    "rnn_tanh": Cell(1, ((0, BOTH),), _tanh_hidden),
    "rnn_relu": Cell(1, ((0, BOTH),), _relu_hidden),
}


def lanes_of(width: int) -> int:
    """Units per tile: whole vectors, wider where there are enough units."""
    return next((n for n in (8, 16) if width <= n), 32)


@dataclass(frozen=True)
class Direction:
    """One pass over the sequence: its cell, extents, dtype to compute in, index of its initial state, its way.

    ``hidden`` units make up the cell; ``width`` is the hidden state's extent: ``hidden``, or ``proj_size``.
    """

    cell: Cell
    length: int
    batch: int
    features: int
    hidden: int
    width: int
    dtype: str
    state: int
    backward: bool

    @property
    def lanes(self) -> int:
        """Hidden units per tile."""
        return lanes_of(self.hidden)

    @property
    def tiles(self) -> int:
        """Tiles of hidden units."""
        return -(-self.hidden // self.lanes)

    @property
    def slots(self) -> int:
        """Sums per hidden unit."""
        return len(self.cell.slots)

    @property
    def projected(self) -> bool:
        """Whether the hidden state is a projection of the units."""
        return self.width != self.hidden

    @property
    def out_tiles(self) -> int:
        """Tiles of the hidden state."""
        return -(-self.width // lanes_of(self.width))

    @property
    def out_units(self) -> int:
        """The hidden state's extent in whole tiles."""
        return self.out_tiles * lanes_of(self.width)

    def time(self, step: Expr) -> Expr:
        """The position in the sequence that step ``step`` handles."""
        return self.length - 1 - step if self.backward else step

    def step_after(self, time: Expr) -> Expr:
        """The slot of the history that holds the hidden state made at position ``time``."""
        return self.length - time if self.backward else time + 1
