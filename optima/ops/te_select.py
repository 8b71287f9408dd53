"""Selection and unstable sorts that leave equal items in the order in which PyTorch's CPU kernels leave them.

torch.topk calls std::partial_sort or std::nth_element and std::sort, torch.kthvalue a quickselect of its own,
torch.mode std::sort. Which of several equal values they report follows from the steps those take, and a model's
answer may hang on it; so the steps here are theirs: median-of-three introselect and introsort that fall back to
heaps after 2 log2(n) partitions (D. Musser, "Introspective sorting and selection algorithms", 1997, in the form of
GNU libstdc++), and the quickselect of "Numerical Recipes in C", section 8.5. All but the last are n log n at worst.
"""

from __future__ import annotations

from optima.ops.te_control import Cell, Frame, both, lazily, number, repeat, when
from optima.ops.te_keys import Items
from optima.ops.te_loops import Buffer, Stmt, each, read, steps, store
from optima.ops.te_reduce import Expr
from optima.ops.te_sort import goes_before, insertion_sort

#: up to this many items std::sort leaves to insertion, std::nth_element 3
_SHORT, _SHORTEST = 16, 3


class Selection:
    """The algorithms over one row of items. ``tied`` orders equal keys by their places, which makes them unique."""

    def __init__(self, frame: Frame, items: Items, *, tied: bool = False) -> None:
        self._frame, self._items, self._tied = frame, items, tied
        self._key, self._place = frame.cell("held_key", str(items.keys.dtype)), frame.cell("held_place")
        self._hole, self._child, self._top = frame.cell("heap_hole"), frame.cell("child"), frame.cell("top")
        self._first, self._end, self._depth = frame.cell("first"), frame.cell("end"), frame.cell("depth")
        self._low, self._high, self._chosen = frame.cell("low"), frame.cell("high"), frame.cell("chosen")

    def _before(self, a: Expr, b: Expr) -> Expr:
        """Whether the item at position a sorts before that at b."""
        return self._less(self._item(a), self._item(b))

    def _item(self, position: Expr) -> tuple[Expr, Expr]:
        return self._items.key(position), self._items.place(position)

    def _less(self, a: tuple[Expr, Expr], b: tuple[Expr, Expr]) -> Expr:
        return goes_before(a, b, tied=self._tied)

    def _hold(self, position: Expr) -> Stmt:
        return steps(self._key.set(self._items.key(position)), self._place.set(self._items.place(position)))

    def _release(self, position: Expr) -> Stmt:
        return steps(*self._items.put(position, self._key.value, self._place.value))

    def _swap(self, a: Expr, b: Expr) -> Stmt:
        return steps(self._hold(a), *self._items.move(a, b), self._release(b))

    # Heaps: the item that sorts last stands at ``first``.

    def _sift(self, first: Expr, top: Expr, length: Expr) -> Stmt:
        """Put the held item into the heap of ``length`` at ``first``, where the hole is at ``top``.

        The hole sinks to a leaf first, and the item rises from there.
        """
        hole, child, items = self._hole, self._child, self._items
        parent = (hole.value - 1) // 2
        other = self._before(first + child.value, first + child.value - 1)
        sink = steps(
            child.set(2 * (child.value + 1)),
            when(other, child.add(-1)),
            *items.move(first + hole.value, first + child.value),
            hole.set(child.value),
        )
        lone = both((length % 2).equal(0), child.value.equal((length - 2) // 2))
        last = steps(
            child.set(2 * child.value + 1),
            *items.move(first + hole.value, first + child.value),
            hole.set(child.value),
        )
        outranks = self._less(self._item(first + parent), (self._key.value, self._place.value))
        rise = steps(*items.move(first + hole.value, first + parent), hole.set(parent))
        return steps(
            hole.set(top),
            child.set(top),
            repeat(child.value < (length - 1) // 2, sink),
            when(lone, last),
            repeat(both(hole.value > top, outranks), rise),
            self._release(first + hole.value),
        )

    def _pop_to(self, first: Expr, length: Expr, result: Expr) -> Stmt:
        """Move the heap's top to ``result``, and what stood there into the heap."""
        return steps(self._hold(result), *self._items.move(result, first), self._sift(first, number(0), length))

    def _heap_select(self, first: Expr, middle: Expr, end: Expr) -> Stmt:
        """The items that sort first, as a heap in ``first .. middle - 1``."""
        top, length = self._top, middle - first
        make = steps(self._hold(first + top.value), self._sift(first, top.value, length), top.add(-1))
        rest = each(
            end - middle,
            lambda i: when(self._before(middle + i, first), self._pop_to(first, length, middle + i)),
            name="rest",
        )
        return steps(
            top.set(lazily(length < 2, number(-1), (length - 2) // 2)), repeat(top.value >= 0, make), rest
        )

    def partial_sort(self, first: Expr, middle: Expr, end: Expr) -> Stmt:
        """The items of ``first .. end - 1`` that sort first, in order, in ``first .. middle - 1``."""
        top = self._top
        shrink = steps(top.add(-1), self._pop_to(first, top.value, first + top.value))
        return steps(
            self._heap_select(first, middle, end),
            top.set(middle - first),
            repeat(top.value > 1, shrink),
        )

    def _partition(self) -> Stmt:
        """Split ``_first .. _end - 1`` around a median of three; ``_low`` becomes the start of the second part."""
        first, low, high, chosen = self._first.value, self._low, self._high, self._chosen
        a, b, c = first + 1, first + (self._end.value - first) // 2, self._end.value - 1
        median = when(
            self._before(a, b),
            when(self._before(b, c), chosen.set(b), when(self._before(a, c), chosen.set(c), chosen.set(a))),
            when(self._before(a, c), chosen.set(a), when(self._before(b, c), chosen.set(c), chosen.set(b))),
        )
        rise = repeat(self._before(low.value, first), low.add(1))
        fall = repeat(self._before(first, high.value), high.add(-1))
        return steps(
            median,
            self._swap(first, chosen.value),
            low.set(first + 1),
            high.set(self._end.value),
            rise,
            high.add(-1),
            fall,
            repeat(
                low.value < high.value,
                steps(self._swap(low.value, high.value), low.add(1), rise, high.add(-1), fall),
            ),
        )

    def nth_element(self, nth: Expr, length: int) -> Stmt:
        """The item that a sort would put at ``nth`` there, what sorts before it in front of it."""
        first, end, depth = self._first, self._end, self._depth
        split = steps(
            depth.add(-1),
            self._partition(),
            when(self._low.value <= nth, first.set(self._low.value), end.set(self._low.value)),
        )
        fall_back = steps(
            self._heap_select(first.value, nth + 1, end.value),
            self._swap(first.value, nth),
            first.set(end.value),  # done: nothing is left to insert
        )
        return steps(
            first.set(0),
            end.set(length),
            depth.set(2 * (length.bit_length() - 1)),
            repeat(end.value - first.value > _SHORTEST, when(depth.value.equal(0), fall_back, split)),
            insertion_sort(self._frame, self._items, first.value, end.value, tied=self._tied),
        )

    def sort(self, length: int) -> Stmt:
        """Sort ``0 .. length - 1`` as std::sort does; equal items in no stated order."""
        if length <= _SHORT:
            return insertion_sort(self._frame, self._items, number(0), number(length))
        levels = 2 * (length.bit_length() - 1)
        stack = [self._frame.array(f"stack_{n}", levels + 1) for n in ("first", "end", "depth")]
        held = self._frame.cell("stacked")
        # Written whole: TVM shrinks an array to the part that is used, here one that scalars state.
        clear = each(levels + 1, lambda i: steps(*(store(s, (i,), number(0)) for s in stack)))
        return steps(
            clear,
            held.set(0),
            self._first.set(0),
            self._end.set(length),
            self._depth.set(levels),
            self._push(stack, held),
            repeat(held.value > 0, steps(self._pull(stack, held), self._sort_range(stack, held))),
            insertion_sort(self._frame, self._items, number(0), number(length)),
        )

    def _sort_range(self, stack: list[Buffer], held: Cell) -> Stmt:
        """Partition until short; second parts wait on the stack, which never holds more than one per level."""
        first, end, depth = self._first, self._end, self._depth
        start = self._frame.cell("start")
        split = steps(
            depth.add(-1),
            self._partition(),
            start.set(first.value),
            first.set(self._low.value),
            self._push(stack, held),
            first.set(start.value),
            end.set(self._low.value),
        )
        heap = steps(self.partial_sort(first.value, end.value, end.value), end.set(first.value))
        return repeat(end.value - first.value > _SHORT, when(depth.value.equal(0), heap, split))

    def _push(self, stack: list[Buffer], held: Cell) -> Stmt:
        cells = (self._first, self._end, self._depth)
        return steps(
            *(store(s, (held.value,), c.value) for s, c in zip(stack, cells, strict=True)), held.add(1)
        )

    def _pull(self, stack: list[Buffer], held: Cell) -> Stmt:
        cells = (self._first, self._end, self._depth)
        return steps(held.add(-1), *(c.set(read(s, held.value)) for s, c in zip(stack, cells, strict=True)))

    def quickselect(self, nth: int, length: int) -> Stmt:
        """The item that a sort would put at ``nth`` there, by the partitions that torch.kthvalue makes."""
        left, right, low, high = self._first, self._end, self._low, self._high

        def ordered(a: Expr, b: Expr) -> Stmt:
            return when(self._before(b, a), self._swap(a, b))

        rise = steps(low.add(1), repeat(self._before(low.value, left.value), low.add(1)))
        fall = steps(high.add(-1), repeat(self._before(left.value, high.value), high.add(-1)))
        split = steps(
            self._swap(left.value + (right.value - left.value) // 2, left.value + 1),
            ordered(left.value + 1, right.value),
            ordered(left.value, right.value),
            ordered(left.value + 1, left.value),
            low.set(left.value + 1),
            high.set(right.value),
            rise,
            fall,
            repeat(high.value >= low.value, steps(self._swap(low.value, high.value), rise, fall)),
            self._swap(left.value, high.value),
            self._chosen.set(high.value),
            when(self._chosen.value <= nth, left.set(low.value)),
            when(self._chosen.value >= nth, right.set(high.value - 1)),
        )
        pair = steps(ordered(left.value, right.value), right.set(left.value))
        return steps(
            left.set(0),
            right.set(length - 1),
            repeat(right.value > left.value, when(right.value.equal(left.value + 1), pair, split)),
        )
