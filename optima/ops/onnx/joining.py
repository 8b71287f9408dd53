"""ONNX routes of joining, padding, splitting, and writing into a part of a tensor."""

from __future__ import annotations

from optima.ops.entry import Onnx, OpView
from optima.ops.indices import axis, slice_bounds
from optima.ops.onnx.routes import ANY
from optima.ops.onnx.site import OpSite

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def _as_out(s: OpSite, role: str) -> str:
    return s.value(role, s.out.dtype)


def _cat(s: OpSite) -> str:
    dim = axis(s.attr("dim", 0), len(s.out.shape))
    return s.writer.concat([_as_out(s, role) for role in s.names], dim)


def _stack(s: OpSite) -> str:
    dim = axis(s.attr("dim", 0), len(s.out.shape))
    one = [1 if d == dim else n for d, n in enumerate(s.out.shape)]
    return s.writer.concat([s.writer.reshape(_as_out(s, role), one) for role in s.names], dim)


def _amounts(s: OpSite) -> list[tuple[int, int]]:
    """(before, after) of each dimension; torch's list begins with the last."""
    pad, rank = list(s.attr("pad")), len(s.shape)
    pairs = [(pad[2 * k], pad[2 * k + 1]) for k in range(len(pad) // 2)]
    return [(0, 0)] * (rank - len(pairs)) + pairs[::-1]


def _pad(s: OpSite) -> str:
    mode = s.attr("mode", "constant")
    value, extents = _cut(s)
    grown = [(max(b, 0), max(a, 0)) for b, a in _amounts(s)]
    if not any(b or a for b, a in grown):
        return value if value != s.first else s.node("Identity", value)
    if mode == "circular":
        return _wrapped(s, value, extents, grown)
    pads = s.writer.integers([*(b for b, _ in grown), *(a for _, a in grown)])
    fill = s.number(s.attr("value") or 0) if mode == "constant" else ""
    return s.node("Pad", value, pads, fill, mode=_PAD_MODES[mode])


def _cut(s: OpSite) -> tuple[str, list[int]]:
    """The operand without what negative amounts take away, and its extents."""
    value, extents = s.first, list(s.shape)
    for dim, (before, after) in enumerate(_amounts(s)):
        if before < 0 or after < 0:
            start, end = max(-before, 0), extents[dim] + min(after, 0)
            value, extents[dim] = s.writer.slice(value, dim, start, end), end - start
    return value, extents


def _wrapped(s: OpSite, value: str, extents: list[int], grown: list[tuple[int, int]]) -> str:
    for dim, (before, after) in enumerate(grown):
        parts = [s.writer.slice(value, dim, extents[dim] - before, extents[dim])] if before else []
        parts += [value, *([s.writer.slice(value, dim, 0, after)] if after else [])]
        value = s.writer.concat(parts, dim)
    return value


def _pad_reason(view: OpView) -> str | None:
    mode = view.attrs.get("mode", "constant")
    if mode not in (*_PAD_MODES, "circular"):
        return f"mode={mode!r}"
    if mode != "constant" and any(p < 0 for p in view.attrs["pad"]):
        return f"negative amounts with mode={mode!r}"
    if view.outputs[0].dtype == "bool":
        return "pad of bool has no ONNX form"
    return None


def _slice_scatter(s: OpSite) -> str:
    """What lies before, the source, what lies behind; strides would need a scatter."""
    dim = axis(s.attr("dim", 0), len(s.out.shape))
    extent = s.out.shape[dim]
    start, end = slice_bounds(extent, s.attr("start"), s.attr("end"))
    return _written(s, dim, start, end, _as_out(s, "src"))


def _select_scatter(s: OpSite) -> str:
    dim = axis(s.attr("dim"), len(s.out.shape))
    at = s.attr("index") % s.out.shape[dim]
    one = [1 if d == dim else n for d, n in enumerate(s.out.shape)]
    return _written(s, dim, at, at + 1, s.writer.reshape(_as_out(s, "src"), one))


def _written(s: OpSite, dim: int, start: int, end: int, source: str) -> str:
    extent = s.out.shape[dim]
    parts = [s.writer.slice(s.names["self"], dim, 0, start)] if start else []
    parts.append(source)
    parts += [s.writer.slice(s.names["self"], dim, end, extent)] if end < extent else []
    return s.writer.concat(parts, dim) if len(parts) > 1 else s.node("Identity", source)


def _step_reason(view: OpView) -> str | None:
    return "a step has no ONNX form here" if view.attrs.get("step", 1) != 1 else None


def _split(s: OpSite) -> list[str]:
    dim = axis(s.attr("dim", 0), len(s.shape))
    return s.writer.split(s.first, dim, [t.shape[dim] for t in s.view.outputs])


def _unbind(s: OpSite) -> list[str]:
    dim = axis(s.attr("dim", 0), len(s.shape))
    parts = s.writer.split(s.first, dim, [1] * s.shape[dim])
    return [s.writer.reshape(p, t.shape) for p, t in zip(parts, s.view.outputs, strict=True)]


def _copy(s: OpSite) -> str:
    source = _as_out(s, "src")
    if s.view.operands["src"].shape == s.out.shape:
        return s.node("Identity", source)
    return s.writer.expand(source, s.out.shape)


ROUTES: dict[str, Onnx] = {
    "cat": Onnx(_cat, dtypes=ANY),
    "stack": Onnx(_stack, dtypes=ANY),
    "pad": Onnx(_pad, _pad_reason, ANY),
    "constant_pad_nd": Onnx(_pad, _pad_reason, ANY),
    "slice_scatter": Onnx(_slice_scatter, _step_reason, ANY),
    "select_scatter": Onnx(_select_scatter, dtypes=ANY),
    "copy": Onnx(_copy, dtypes=ANY),
    "fill": Onnx(lambda s: s.writer.expand(s.value("value", s.out.dtype), s.out.shape), dtypes=ANY),
}

SPLITTING: dict[str, Onnx] = {
    **{name: Onnx(_split, dtypes=ANY) for name in ("split", "split_with_sizes", "chunk")},
    "unbind": Onnx(_unbind, dtypes=ANY),
}
