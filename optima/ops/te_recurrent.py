"""One direction of one recurrent layer as TE: the input's part of every gate at once, then a loop over time.

The slots of ``lanes`` hidden units at a time form a tile; the recurrent weights are packed once per call so that
a tile's rows are contiguous for each k. Hidden units are padded to whole tiles with zero weights; padded units
are computed and never read. A projection (LSTM's ``proj_size``) is a second, smaller product after each step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optima.ops.te_gates import HIDDEN, INPUT, Direction, lanes_of
from optima.ops.te_loops import Buffer, Stmt, each, read, sequential, steps, store
from optima.ops.te_reduce import Expr, const, fold_terms, load, widen

if TYPE_CHECKING:
    from tvm import te

#: multiplications per step from which the tiles of a step are worth spreading over the worker pool
_PARALLEL_PRODUCTS = 2**20


def _input_slots(d: Direction, x: Callable[[Expr, Expr, Expr], Expr], weights: Mapping[str, te.Tensor]) -> te.Tensor:
    """``[length, batch, tiles, slots, lanes]``: what each slot holds before the recurrent products, for every step."""
    from tvm import te, tirx

    def term(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        t, b, g = index
        return x(t, b, *ks) * load(weights["w_ih"], g, *ks)

    rows = (d.length, d.batch, d.cell.gates * d.hidden)
    products = fold_terms("sum", rows, [d.features], term, d.dtype, "projected", "gemm")

    def slot_value(t: Expr, b: Expr, unit: Expr, gate: int, side: str) -> Expr:
        row = gate * d.hidden + unit
        terms = [] if side == HIDDEN else [products(t, b, row)]
        for role, other in (("b_ih", HIDDEN), ("b_hh", INPUT)):
            if role in weights and side != other:
                terms.append(load(weights[role], row))
        return sum(terms[1:], terms[0]) if terms else const(0, d.dtype)

    def tiled(t: Expr, b: Expr, tile: Expr, slot: Expr, lane: Expr) -> Expr:
        unit = tile * d.lanes + lane
        value = slot_value(t, b, unit, *d.cell.slots[-1])
        for n in reversed(range(d.slots - 1)):
            value = tirx.if_then_else(slot == n, slot_value(t, b, unit, *d.cell.slots[n]), value)
        return tirx.if_then_else(unit < d.hidden, value, const(0, d.dtype))

    return te.compute((d.length, d.batch, d.tiles, d.slots, d.lanes), tiled, name="input_slots")


def _initial(d: Direction, state: te.Tensor, extent: int, units: int, name: str) -> te.Tensor:
    """``[batch, units]``: the first state of this direction, padded."""
    from tvm import te, tirx

    def element(b: Expr, unit: Expr) -> Expr:
        return tirx.if_then_else(unit < extent, load(state, d.state, b, unit), const(0, d.dtype))

    return te.compute((d.batch, units), element, name=name)


def run_direction(
    d: Direction,
    x: Callable[[Expr, Expr, Expr], Expr],
    hx: Sequence[te.Tensor],
    weights: Mapping[str, te.Tensor],
) -> tuple[te.Tensor, te.Tensor]:
    """(history ``[length + 1, batch, units]``, last cell state ``[batch, units]``), units padded to tiles.

    Slot 0 of the history is the initial hidden state, slot s + 1 what step s made; the second result means
    something for LSTM only. ``x(t, b, k)`` reads the input; ``hx`` has the hidden states, and the cell states of
    an LSTM; ``weights`` has w_ih, w_hh and, where the layer has them, b_ih, b_hh and w_hr.
    """
    units = d.tiles * d.lanes
    remembers = d.cell.memory is not None
    given = {
        "slots_in": _input_slots(d, x, weights),
        "first": _initial(d, hx[0], d.width, d.out_units, "first_hidden"),
        "w_hh": weights["w_hh"],
    }
    if remembers:
        given["first_cell"] = _initial(d, hx[1], d.hidden, units, "first_cell")
    if d.projected:
        given["w_hr"] = weights["w_hr"]
    made = {
        "history": (d.length + 1, d.batch, d.out_units),
        "cell": (d.batch, units),
        "packed": (d.tiles, d.width, d.cell.gates, d.lanes),
        "slots": (d.tiles, d.slots, d.lanes),
        "whole": (d.batch, units),
        "packed_hr": (d.out_tiles, d.hidden, d.out_units // d.out_tiles),
    }
    made = {k: v for k, v in made.items() if d.projected or k not in ("whole", "packed_hr")}

    def body(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        loops = _Loops(d, dict(zip((*given, *made), (*ins, *outs), strict=True)), str(weights["w_hh"].dtype))
        return loops.whole()

    results = sequential("recurrence", list(given.values()), [(s, d.dtype) for s in made.values()], body)
    return results[0], results[1]


@dataclass(frozen=True)
class _Loops:
    """The statements of one direction over its ``buffers``; weights are stored as ``source``."""

    d: Direction
    buffers: Mapping[str, Buffer]
    source: str

    def whole(self) -> Stmt:
        """Pack the weights, set the first state, then all steps in order."""
        d, at = self.d, self.buffers

        def first(b: Expr) -> Stmt:
            copies = [self._copied("first", lambda u: (b, u), "history", lambda u: (0, b, u), d.out_units)]
            if "first_cell" in at:
                copies.append(self._copied("first_cell", lambda u: (b, u), "cell", lambda u: (b, u), d.tiles * d.lanes))
            return steps(*copies)

        packs = [self._pack("w_hh", "packed", d.cell.gates, d.hidden, d.width, d.lanes)]
        if d.projected:
            packs.append(self._pack("w_hr", "packed_hr", 1, d.width, d.hidden, lanes_of(d.width)))
        return steps(*packs, each(d.batch, first, name="b"), each(d.length, self._step, name="s"))

    def _copied(
        self, source: str, there: Callable[[Expr], tuple[Expr, ...]], target: str,
        here: Callable[[Expr], tuple[Expr, ...]], extent: int,
    ) -> Stmt:  # fmt: skip
        at = self.buffers
        return each(extent, lambda u: store(at[target], here(u), read(at[source], *there(u))), name="u")

    def _pack(self, source: str, target: str, gates: int, units: int, depth: int, lanes: int) -> Stmt:
        """``target[tile, k, gate, lane] = source[gate * units + unit, k]``, zero for units past the last."""
        from tvm import tirx

        weights, packed = self.buffers[source], self.buffers[target]

        def copy(tile: Expr, gate: Expr, lane: Expr, k: Expr) -> Stmt:
            unit = tile * lanes + lane
            row = tirx.min(gate * units + unit, gates * units - 1)
            value = tirx.Select(unit < units, widen(read(weights, row, k), self.source), const(0, self.d.dtype))
            place = (tile, k, gate, lane) if len(packed.shape) == 4 else (tile, k, lane)
            return store(packed, place, value)

        def of_lane(tile: Expr, gate: Expr, lane: Expr) -> Stmt:
            return each(depth, lambda k: copy(tile, gate, lane, k), name="k")

        def of_gate(tile: Expr, gate: Expr) -> Stmt:
            return each(lanes, lambda lane: of_lane(tile, gate, lane), name="lane")

        tiles = -(-units // lanes)
        return each(tiles, lambda tile: each(gates, lambda gate: of_gate(tile, gate), name="gate"), name="tile")

    def _step(self, s: Expr) -> Stmt:
        """One step of the recurrence, tile by tile; tiles are independent, so many of them run on the pool."""
        d = self.d
        products = d.cell.gates * d.hidden * d.width * d.batch
        kind = "parallel" if products >= _PARALLEL_PRODUCTS else "serial"
        units = each(d.tiles, lambda tile: each(d.batch, lambda b: self._row(s, tile, b), name="b"), kind, "tile")
        if not d.projected:
            return units
        out = each(d.out_tiles, lambda p: each(d.batch, lambda b: self._project(s, p, b), name="b"), name="p")
        return steps(units, out)

    def _row(self, s: Expr, tile: Expr, b: Expr) -> Stmt:
        """The slots of one tile for one member of the batch, then its next state."""
        d, at = self.d, self.buffers
        slots, packed, history = at["slots"], at["packed"], at["history"]

        def begin(slot: Expr) -> Stmt:
            return self._lane(
                lambda v: store(slots, (tile, slot, v), read(at["slots_in"], d.time(s), b, tile, slot, v))
            )

        def add(k: Expr, gate: Expr) -> Stmt:
            def lane(v: Expr) -> Stmt:
                product = read(history, s, b, k) * read(packed, tile, k, gate, v)
                return store(slots, (tile, gate, v), read(slots, tile, gate, v) + product)

            return self._lane(lane)

        return steps(
            each(d.slots, begin, "unrolled", "slot"),
            each(d.width, lambda k: each(d.cell.gates, lambda gate: add(k, gate), "unrolled", "gate"), name="k"),
            self._lane(lambda v: self._next(s, tile, b, v)),
        )

    def _lane(self, body: Callable[[Expr], Stmt]) -> Stmt:
        return each(self.d.lanes, body, "vectorized", "lane")

    def _next(self, s: Expr, tile: Expr, b: Expr, lane: Expr) -> Stmt:
        """The next state of one unit."""
        d, at = self.d, self.buffers
        unit = tile * d.lanes + lane
        slots = [read(at["slots"], tile, n, lane) for n in range(d.slots)]
        target, place = (at["whole"], (b, unit)) if d.projected else (at["history"], (s + 1, b, unit))
        if d.cell.memory is None:
            return store(target, place, d.cell.hidden(slots, read(at["history"], s, b, unit)))
        return steps(
            store(at["cell"], (b, unit), d.cell.memory(slots, read(at["cell"], b, unit))),
            store(target, place, d.cell.hidden(slots, read(at["cell"], b, unit))),
        )

    def _project(self, s: Expr, tile: Expr, b: Expr) -> Stmt:
        """``h = w_hr @ whole`` for one tile of the hidden state."""
        d, at = self.d, self.buffers
        lanes = lanes_of(d.width)

        def place(v: Expr) -> tuple[Expr, ...]:
            return (s + 1, b, tile * lanes + v)

        def add(k: Expr, v: Expr) -> Stmt:
            product = read(at["whole"], b, k) * read(at["packed_hr"], tile, k, v)
            return store(at["history"], place(v), read(at["history"], *place(v)) + product)

        zero = each(lanes, lambda v: store(at["history"], place(v), const(0, d.dtype)), "vectorized", "lane")
        terms = each(d.hidden, lambda k: each(lanes, lambda v: add(k, v), "vectorized", "lane"), name="k")
        return steps(zero, terms)
