"""The memory plan: tensors alive together never overlap, offsets are aligned, and reuse happens."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from optima.backends.kernel_route.memory import ALIGNMENT, Lifetime, aligned, place


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Lifetime]:
    count = draw(st.integers(0, 25))
    made = []
    for i in range(count):
        first = draw(st.integers(0, 20))
        made.append(Lifetime(f"t{i}", draw(st.integers(0, 1000)), first, first + draw(st.integers(0, 8))))
    return made


@settings(max_examples=300, deadline=None)
@given(lifetimes())
def test_tensors_alive_together_never_overlap(items: list[Lifetime]) -> None:
    offsets, total = place(items)
    for i, a in enumerate(items):
        assert offsets[a.name] % ALIGNMENT == 0
        assert offsets[a.name] + a.nbytes <= total
        for b in items[i + 1 :]:
            if a.overlaps(b) and a.nbytes and b.nbytes:
                first, second = sorted((a, b), key=lambda t: offsets[t.name])
                assert offsets[first.name] + first.nbytes <= offsets[second.name]


@settings(max_examples=100, deadline=None)
@given(lifetimes())
def test_the_arena_is_within_the_bounds(items: list[Lifetime]) -> None:
    """Never below the largest live set, never above the sum."""
    _, total = place(items)
    steps = range(40)
    live = max((sum(aligned(t.nbytes) for t in items if t.first <= s <= t.last) for s in steps), default=0)
    assert live <= total <= sum(aligned(t.nbytes) for t in items)


def test_a_chain_needs_two_buffers() -> None:
    _, total = place([Lifetime(f"t{i}", 640, i, i + 1) for i in range(10)])
    assert total == 2 * 640
