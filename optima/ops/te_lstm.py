"""One direction of one LSTM layer as TE: the input's part of every gate at once, then a loop over time.

Gates i, f, g, o of ``lanes`` hidden units at a time form a tile; the recurrent weights are packed once per
call so that a tile's four rows are contiguous for each k. Hidden units are padded to whole tiles with zero
weights; padded units are computed and never read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optima.ops.te_loops import Buffer, Stmt, each, read, sequential, steps, store
from optima.ops.te_reduce import Expr, const, fold_terms, load, widen

if TYPE_CHECKING:
    from tvm import te

_GATES = 4
#: multiplications per step from which the tiles of a step are worth spreading over the worker pool
_PARALLEL_PRODUCTS = 2**20


@dataclass(frozen=True)
class Direction:
    """One pass over the sequence: extents, dtype to compute in, index of its initial state, its way."""

    length: int
    batch: int
    features: int
    hidden: int
    dtype: str
    state: int
    backward: bool

    @property
    def lanes(self) -> int:
        """Hidden units per tile."""
        return next((n for n in (8, 16) if self.hidden <= n), 32)

    @property
    def tiles(self) -> int:
        """Tiles of hidden units."""
        return -(-self.hidden // self.lanes)

    def time(self, step: Expr) -> Expr:
        """The position in the sequence that step ``step`` handles."""
        return self.length - 1 - step if self.backward else step

    def step_after(self, time: Expr) -> Expr:
        """The slot of the history that holds the hidden state made at position ``time``."""
        return self.length - time if self.backward else time + 1


def _input_gates(
    d: Direction, x: Callable[[Expr, Expr, Expr], Expr], weights: Mapping[str, te.Tensor]
) -> te.Tensor:
    """``[length, batch, tiles, 4, lanes]``: what input and biases add to each gate, for every step."""
    from tvm import te, tirx

    def term(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        t, b, g = index
        return x(t, b, *ks) * load(weights["w_ih"], g, *ks)

    rows = (d.length, d.batch, _GATES * d.hidden)
    projected = fold_terms("sum", rows, [d.features], term, d.dtype, "projected", "gemm")

    def tiled(t: Expr, b: Expr, tile: Expr, gate: Expr, lane: Expr) -> Expr:
        unit = tile * d.lanes + lane
        row = gate * d.hidden + unit
        value = projected(t, b, row)
        for role in ("b_ih", "b_hh"):
            if role in weights:
                value = value + load(weights[role], row)
        return tirx.if_then_else(unit < d.hidden, value, const(0, d.dtype))

    return te.compute((d.length, d.batch, d.tiles, _GATES, d.lanes), tiled, name="input_gates")


def _initial(d: Direction, hx: Sequence[te.Tensor]) -> te.Tensor:
    """``[2, batch, tiles * lanes]``: the first hidden and cell state, padded."""
    from tvm import te, tirx

    def element(which: Expr, b: Expr, unit: Expr) -> Expr:
        zero = const(0, d.dtype)
        first = tirx.if_then_else(which < 1, load(hx[0], d.state, b, unit), load(hx[1], d.state, b, unit))
        return tirx.if_then_else(unit < d.hidden, first, zero)

    return te.compute((2, d.batch, d.tiles * d.lanes), element, name="initial")


def run_direction(
    d: Direction,
    x: Callable[[Expr, Expr, Expr], Expr],
    hx: Sequence[te.Tensor],
    weights: Mapping[str, te.Tensor],
) -> tuple[te.Tensor, te.Tensor]:
    """(history ``[length + 1, batch, units]``, last cell state ``[batch, units]``), units padded to tiles.

    Slot 0 of the history is the initial hidden state, slot s + 1 what step s made. ``x(t, b, k)`` reads the
    input; ``weights`` has w_ih, w_hh and, where the layer has them, b_ih and b_hh.
    """
    units = d.tiles * d.lanes
    recurrent = weights["w_hh"]
    source = str(recurrent.dtype)

    def body(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        gates_in, first, w_hh = ins
        history, cell, packed, gates = outs

        def start(b: Expr, unit: Expr) -> Stmt:
            return steps(
                store(history, (0, b, unit), read(first, 0, b, unit)),
                store(cell, (b, unit), read(first, 1, b, unit)),
            )

        return steps(
            _pack(d, w_hh, packed, source),
            each(d.batch, lambda b: each(units, lambda u: start(b, u), name="u"), name="b"),
            each(d.length, lambda s: _step(d, s, gates_in, history, cell, packed, gates), name="s"),
        )

    shapes = [
        ((d.length + 1, d.batch, units), d.dtype),
        ((d.batch, units), d.dtype),
        ((d.tiles, d.hidden, _GATES, d.lanes), d.dtype),
        ((d.tiles, _GATES, d.lanes), d.dtype),
    ]
    inputs = [_input_gates(d, x, weights), _initial(d, hx), recurrent]
    history, cell, _, _ = sequential("lstm", inputs, shapes, body)
    return history, cell


def _pack(d: Direction, w_hh: Buffer, packed: Buffer, source: str) -> Stmt:
    """``packed[tile, k, gate, lane] = w_hh[gate * hidden + unit, k]``, zero for units past the last."""
    from tvm import tirx

    def copy(tile: Expr, gate: Expr, lane: Expr, k: Expr) -> Stmt:
        unit = tile * d.lanes + lane
        row = tirx.min(gate * d.hidden + unit, _GATES * d.hidden - 1)
        value = tirx.Select(unit < d.hidden, widen(read(w_hh, row, k), source), const(0, d.dtype))
        return store(packed, (tile, k, gate, lane), value)

    def rows(tile: Expr) -> Stmt:
        return each(
            _GATES,
            lambda gate: each(
                d.lanes,
                lambda lane: each(d.hidden, lambda k: copy(tile, gate, lane, k), name="k"),
                name="lane",
            ),
            name="gate",
        )

    return each(d.tiles, rows, name="tile")


def _step(
    d: Direction, s: Expr, gates_in: Buffer, history: Buffer, cell: Buffer, packed: Buffer, gates: Buffer
) -> Stmt:
    """One step of the recurrence, tile by tile; tiles are independent, so many of them run on the pool."""

    def tile_of(tile: Expr) -> Stmt:
        return each(d.batch, lambda b: row(tile, b), name="b")

    def row(tile: Expr, b: Expr) -> Stmt:
        def begin(gate: Expr) -> Stmt:
            return lane_loop(
                lambda v: store(gates, (tile, gate, v), read(gates_in, d.time(s), b, tile, gate, v))
            )

        def add(k: Expr, gate: Expr) -> Stmt:
            def lane(v: Expr) -> Stmt:
                product = read(history, s, b, k) * read(packed, tile, k, gate, v)
                return store(gates, (tile, gate, v), read(gates, tile, gate, v) + product)

            return lane_loop(lane)

        return steps(
            each(_GATES, begin, "unrolled", "gate"),
            each(d.hidden, lambda k: each(_GATES, lambda gate: add(k, gate), "unrolled", "gate"), name="k"),
            lane_loop(lambda v: _cell(d, s, tile, b, v, history, cell, gates)),
        )

    def lane_loop(body: Callable[[Expr], Stmt]) -> Stmt:
        return each(d.lanes, body, "vectorized", "lane")

    big = _GATES * d.hidden * d.hidden * d.batch >= _PARALLEL_PRODUCTS
    return each(d.tiles, tile_of, "parallel" if big else "serial", "tile")


def _cell(
    d: Direction, s: Expr, tile: Expr, b: Expr, lane: Expr, history: Buffer, cell: Buffer, gates: Buffer
) -> Stmt:
    """``c = f c + i g``, ``h = o tanh(c)``."""
    from optima.ops.vector_math import sigmoid, tanh

    unit = tile * d.lanes + lane
    i, f, g, o = (read(gates, tile, gate, lane) for gate in range(_GATES))
    return steps(
        store(cell, (b, unit), sigmoid(f) * read(cell, b, unit) + sigmoid(i) * tanh(g)),
        store(history, (s + 1, b, unit), sigmoid(o) * tanh(read(cell, b, unit))),
    )
