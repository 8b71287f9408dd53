"""Joining tensors, padding, and writing a tensor into a part of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, OpEntry, OpView, Trait
from optima.ops.indices import axis, slice_bounds
from optima.ops.onnx.joining import ROUTES
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import Refuse, Tensors, read, supported
from optima.ops.promotion import scalar_fits
from optima.ops.reference import aten
from optima.ops.tflite.joining import ROUTES as TFLITE
from optima.ops.tflite.routes import with_tflite

_INJECTIVE = frozenset({Trait.INJECTIVE})
_PAD_MODES = ("constant", "reflect", "replicate", "circular")


def _joining(
    name: str,
    operands: tuple[str, ...],
    compute: Callable[[OpView, Tensors], list[Any]],
    attrs: Mapping[str, Any],
    refuse: Refuse = lambda view: None,
) -> OpEntry:
    return OpEntry(name, operands, aten(name), attrs, _INJECTIVE, supported(compute, refuse))


def _chosen(index: Any, members: Sequence[tuple[int, Callable[[], Any]]]) -> Any:
    """The value of the first member whose end lies past ``index``; the others are not read."""
    from tvm import tirx

    *front, (_, last) = members
    value = last()
    for end, member in reversed(front):
        value = tirx.if_then_else(index < end, member(), value)
    return value


def _cat(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    out = view.outputs[0]
    dim = axis(view.attrs["dim"], len(out.shape))
    # An empty member holds nothing; torch even lets it be 1-D among members of another rank.
    full = [(r, t) for r, t in view.operands.items() if t.numel]

    def at(*index: Any) -> Any:
        members: list[tuple[int, Callable[[], Any]]] = []
        start = 0
        for role, kind in full:
            place = [i - start if k == dim else i for k, i in enumerate(index)]
            members.append((start + kind.shape[dim], _reader(tensors[role], place, out.dtype)))
            start += kind.shape[dim]
        return _chosen(index[dim], members)

    return [te.compute(out.shape, at, name=view.op)]


def _reader(tensor: Any, place: Sequence[Any], dtype: str) -> Callable[[], Any]:
    return lambda: em.cast(tensor(*place), dtype)


def _stack(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    out = view.outputs[0]
    dim = axis(view.attrs["dim"], len(out.shape))

    def at(*index: Any) -> Any:
        place = [*index[:dim], *index[dim + 1 :]]
        readers = [_reader(tensors[role], place, out.dtype) for role in view.operands]
        return _chosen(index[dim], [(k + 1, r) for k, r in enumerate(readers)])

    return [te.compute(out.shape, at, name=view.op)]


def pad_amounts(pad: Sequence[int], rank: int) -> list[int]:
    """Elements added before each dimension, from torch's list (last dimension first, before and after)."""
    before = [0] * rank
    for k in range(len(pad) // 2):
        before[rank - 1 - k] = pad[2 * k]
    return before


def _pad(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te, tirx

    x, shape, out = tensors["self"], view.first.shape, view.outputs[0]
    before = pad_amounts(view.attrs["pad"], len(shape))
    mode = view.attrs.get("mode", "constant")
    fill = em.cast(em.constant(view.attrs.get("value") or 0, out.dtype), out.dtype)

    def at(*index: Any) -> Any:
        place = [i - b for i, b in zip(index, before, strict=True)]
        if mode == "circular":
            return x(*_wrapped_place(view.attrs["pad"], shape, index))
        if mode != "constant":
            return x(*[_inside(mode, p, d, i) for p, d, i in zip(place, shape, index, strict=True)])
        if view.first.numel == 0:
            return fill
        inside = []
        for p, b, extent, total in zip(place, before, shape, out.shape, strict=True):
            inside += [p >= 0] if b > 0 else []
            inside += [p < extent] if total > b + extent else []
        return tirx.if_then_else(tirx.all(*inside), x(*place), fill) if inside else x(*place)

    return [te.compute(out.shape, at, name=view.op)]


def _inside(mode: str, place: Any, extent: int, index: Any) -> Any:
    """The element that a place outside ``0 .. extent - 1`` repeats."""
    from tvm import tirx

    if place is index:
        place = index + 0
    last = extent - 1
    if mode == "replicate":
        return tirx.max(tirx.min(place, last), 0)
    mirrored = tirx.Select(place < 0, -place, place)
    return tirx.Select(mirrored > last, 2 * last - mirrored, mirrored)


def _wrapped_place(pad: Sequence[int], shape: Sequence[int], index: Sequence[Any]) -> list[Any]:
    """Where circular padding reads: negative amounts cut first, and what is left repeats."""
    from tvm import tirx

    places = []
    for i, extent, (before, after) in zip(index, shape, _per_dimension(pad, len(shape)), strict=True):
        period = extent + min(before, 0) + min(after, 0)
        place = i - before if before > 0 else i
        if before > 0:
            place = tirx.Select(place < 0, place + period, place)
        if after > 0:
            place = tirx.Select(place >= period, place - period, place)
        places.append(place - before if before < 0 else place)
    return places


def _per_dimension(pad: Sequence[int], rank: int) -> list[tuple[int, int]]:
    """(before, after) of each dimension, first dimension first."""
    given = [(pad[2 * k], pad[2 * k + 1]) for k in range(len(pad) // 2)]
    return [(0, 0)] * (rank - len(given)) + given[::-1]


def _repeats_too_much(view: OpView) -> bool:
    """Whether circular padding repeats more than is left: torch then copies from what it is writing."""
    amounts = _per_dimension(view.attrs["pad"], len(view.first.shape))
    return any(
        max(before, after) > extent + min(before, 0) + min(after, 0)
        for extent, (before, after) in zip(view.first.shape, amounts, strict=True)
    )


def _pad_reason(view: OpView) -> str | None:
    mode, value = view.attrs.get("mode", "constant"), view.attrs.get("value")
    if mode not in _PAD_MODES:
        return f"mode={mode!r}"
    if mode == "constant" and not scalar_fits(value or 0, view.outputs[0].dtype):
        return f"value={value!r} does not fit in {view.outputs[0].dtype}"
    if mode == "circular" and _repeats_too_much(view):
        return "a circular padding longer than what its negative side leaves"
    return None


def _slice_scatter(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te, tirx

    x, source, out, a = tensors["self"], tensors["src"], view.outputs[0], view.attrs
    dim, step = axis(a["dim"], len(out.shape)), a["step"]
    start, end = slice_bounds(out.shape[dim], a["start"], a["end"])

    def at(*index: Any) -> Any:
        offset = index[dim] - start
        written = [index[dim] >= start, index[dim] < end]
        if step > 1:
            written.append((offset % step).equal(0))
        place = [offset // step if k == dim else i for k, i in enumerate(index)]
        kept = x(*index)
        if view.operands["src"].numel == 0:
            return kept
        return tirx.if_then_else(tirx.all(*written), em.cast(source(*place), out.dtype), kept)

    return [te.compute(out.shape, at, name=view.op)]


def _select_scatter(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te, tirx

    x, source, out = tensors["self"], tensors["src"], view.outputs[0]
    dim = axis(view.attrs["dim"], len(out.shape))
    at_index = view.attrs["index"] % out.shape[dim]

    def at(*index: Any) -> Any:
        written = em.cast(source(*index[:dim], *index[dim + 1 :]), out.dtype)
        return tirx.if_then_else(index[dim].equal(at_index), written, x(*index))

    return [te.compute(out.shape, at, name=view.op)]


def _copy(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    out, source = view.outputs[0], tensors["src"]
    return [te.compute(out.shape, lambda *i: em.cast(read(source, i), out.dtype), name=view.op)]


def _fill(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    out = view.outputs[0]

    def at(*index: Any) -> Any:
        if "value" in tensors:
            return em.cast(tensors["value"](), out.dtype)
        return em.literal(view.attrs["value"], out.dtype, index)

    return [te.compute(out.shape, at, name=view.op)]


def _fill_reason(view: OpView) -> str | None:
    value, dtype = view.attrs.get("value", 0), view.outputs[0].dtype
    fits = not isinstance(value, complex) and scalar_fits(value, dtype)
    return None if fits else f"value={value!r} does not fit in {dtype}"


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _joining("cat", ("tensors*",), _cat, {"dim": 0}),
        _joining("stack", ("tensors*",), _stack, {"dim": 0}),
        _joining("pad", ("self",), _pad, {"pad": REQUIRED, "mode": "constant", "value": None}, _pad_reason),
        _joining("constant_pad_nd", ("self",), _pad, {"pad": REQUIRED, "value": 0}, _pad_reason),
        _joining("slice_scatter", ("self", "src"), _slice_scatter, {"dim": 0, "start": None, "end": None, "step": 1}),
        _joining("select_scatter", ("self", "src"), _select_scatter, {"dim": REQUIRED, "index": REQUIRED}),
        OpEntry("copy", ("self", "src"), aten("copy"), {}, _INJECTIVE, supported(_copy)),
        OpEntry(
            "fill",
            ("self", "value"),
            aten("fill"),
            {},
            frozenset({Trait.ELEMENTWISE}),
            supported(_fill, _fill_reason),
        ),
    ),
    ROUTES,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
