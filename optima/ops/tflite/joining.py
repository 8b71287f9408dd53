"""TFLite routes of joining, padding and splitting."""

from __future__ import annotations

from optima.ops.entry import OpView, Tflite
from optima.ops.indices import axis
from optima.ops.tflite.layout import Laid, without
from optima.ops.tflite.site import TfliteSite


def _cat(s: TfliteSite) -> Laid:
    order, values = s.together_alike(list(s.operands))
    return Laid(s.writer.concat(values, order.index(axis(s.attr("dim", 0), len(s.out.shape)))), order)


def _stack(s: TfliteSite) -> Laid:
    """Each gets the new axis in front of all others, where it costs nothing."""
    order, values = s.together_alike(list(s.operands))
    dim = axis(s.attr("dim", 0), len(s.out.shape))
    stacked = [s.writer.copy(v, (1, *s.writer.shapes[v])) for v in values]
    return Laid(s.writer.concat(stacked, 0), (dim, *(a + (a >= dim) for a in order)))


def _amounts(s: TfliteSite) -> list[tuple[int, int]]:
    """(before, after) of each dimension; torch's list begins with the last."""
    pad = list(s.attr("pad"))
    pairs = [(pad[2 * k], pad[2 * k + 1]) for k in range(len(pad) // 2)]
    return [(0, 0)] * (s.rank - len(pairs)) + pairs[::-1]


def _pad(s: TfliteSite) -> Laid:
    """Zeros by PAD; what repeats the operand by pieces of it; a mirror by MIRROR_PAD, which the host runs."""
    made, mode = s.made(), s.attr("mode", "constant")
    amounts = [_amounts(s)[a] for a in made.order]
    value = made.value
    for at, (before, after) in enumerate(amounts):
        if before < 0 or after < 0:
            start, extent = max(-before, 0), s.writer.shapes[value][at]
            value = s.writer.part(value, at, start, extent + min(after, 0) - start)
    grown = [(max(b, 0), max(a, 0)) for b, a in amounts]
    if mode == "constant":
        return Laid(s.writer.pad(value, grown), made.order)
    if mode == "reflect":
        shape = [n + b + a for n, (b, a) in zip(s.writer.shapes[value], grown, strict=True)]
        amounts_value = s.writer.integers([list(pair) for pair in grown])
        return Laid(s.writer.node("MIRROR_PAD", [value, amounts_value], shape, mode="REFLECT"), made.order)
    for at, (before, after) in enumerate(grown):
        value = _repeated(s, value, at, before, after, circular=mode == "circular")
    return Laid(value, made.order)


def _repeated(s: TfliteSite, value: str, at: int, before: int, after: int, *, circular: bool) -> str:
    """An axis grown by its other end, or by copies of its outermost elements."""
    extent, w = s.writer.shapes[value][at], s.writer
    if circular:
        head = [w.part(value, at, extent - before, before)] if before else []
        tail = [w.part(value, at, 0, after)] if after else []
    else:
        head = [w.part(value, at, 0, 1)] * before if before else []
        tail = [w.part(value, at, extent - 1, 1)] * after if after else []
    return w.concat([*head, value, *tail], at)


def _pad_reason(view: OpView) -> str | None:
    mode, fill = view.attrs.get("mode", "constant"), view.attrs.get("value")
    if mode not in ("constant", "reflect", "replicate", "circular"):
        return f"mode={mode!r}"
    if mode == "constant":
        return None if not fill else f"padding with {fill}: the Edge TPU pads with zeros"
    return f"negative amounts with mode={mode!r}" if any(p < 0 for p in view.attrs["pad"]) else None


def _split(s: TfliteSite) -> list[Laid]:
    """A slice each: the runtime gives no memory to a result of SPLIT that nothing reads, and calibration reads all."""
    made, dim = s.made(), s.axis("dim", 0)
    at = made.order.index(dim)
    sizes = [t.shape[dim] for t in s.view.outputs]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    return [Laid(s.writer.part(made.value, at, b, n), made.order) for b, n in zip(starts, sizes, strict=True)]


def _unbind(s: TfliteSite) -> list[Laid]:
    made, dim = s.made(), s.axis("dim", 0)
    order = without(made.order, [dim])
    parts = [s.writer.part(made.value, made.order.index(dim), k, 1) for k in range(s.shape[dim])]
    return [Laid(s.writer.reshape(p, [t.shape[a] for a in order]), order)
            for p, t in zip(parts, s.view.outputs, strict=True)]  # fmt: skip


ROUTES: dict[str, Tflite] = {
    "cat": Tflite(_cat),
    "stack": Tflite(_stack),
    "pad": Tflite(_pad, _pad_reason),
    "constant_pad_nd": Tflite(_pad, _pad_reason),
}

SPLITTING: dict[str, Tflite] = {
    **{name: Tflite(_split) for name in ("split", "split_with_sizes", "chunk")},
    "unbind": Tflite(_unbind),
}
