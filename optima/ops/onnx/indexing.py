"""ONNX routes of lookups, embeddings and scatters."""

from __future__ import annotations

import numpy as np

from optima.ops.entry import Onnx, OpView
from optima.ops.indices import axis
from optima.ops.onnx.routes import ANY
from optima.ops.onnx.site import OpSite

_REDUCED_SINCE = 16


def _dim(s: OpSite) -> int:
    return axis(s.attr("dim"), len(s.view.operands["self"].shape))


def _index_select(s: OpSite) -> str:
    index = s.names["index"]
    if not s.view.operands["self"].shape:
        return s.node("Identity", s.names["self"])
    if not s.view.operands["index"].shape:
        index = s.writer.reshape(index, [1])
    return s.node("Gather", s.names["self"], index, axis=_dim(s))


def _gather(s: OpSite) -> str:
    return s.node("GatherElements", s.names["self"], s.names["index"], axis=_dim(s))


def _take_along(s: OpSite) -> str:
    """Both sides are broadcast but for the axis."""
    if s.attr("dim") is None:
        flat = s.writer.reshape(s.names["self"], [s.view.operands["self"].numel])
        return s.node("GatherElements", flat, s.writer.reshape(s.names["indices"], s.out.shape), axis=0)
    at = _dim(s)
    source = [s.view.operands["self"].shape[d] if d == at else n for d, n in enumerate(s.out.shape)]
    wide = s.writer.expand(s.names["self"], source)
    index = s.writer.expand(s.names["indices"], s.out.shape)
    return s.node("GatherElements", wide, index, axis=at)


def _of_one_rank(view: OpView) -> str | None:
    """torch takes 0-d operands among others."""
    ranks = {len(t.shape) for t in view.operands.values()}
    return None if len(ranks) == 1 and ranks != {0} else f"{view.op} of a 0-d tensor has no ONNX form"


def _take_along_reason(view: OpView) -> str | None:
    if view.attrs.get("dim") is None:
        return None if view.operands["self"].shape else "take_along_dim of a 0-d tensor has no ONNX form"
    return _of_one_rank(view)


def _given(view: OpView) -> list[int]:
    return [int(r.split(".")[1]) for r in view.operands if r.startswith("indices.")]


def _index(s: OpSite) -> str:
    """One index tensor: a lookup along its axis."""
    (at,) = _given(s.view)
    return s.node("Gather", s.names["self"], s.names[f"indices.{at}"], axis=at)


def _index_reason(view: OpView) -> str | None:
    if any(view.operands[f"indices.{d}"].dtype in ("bool", "uint8") for d in _given(view)):
        return "a mask as index: how many elements it selects is known only when it runs"
    return None if len(_given(view)) == 1 else "several index tensors have no ONNX form here"


def _embedding(s: OpSite) -> str:
    return s.node("Gather", s.names["weight"], s.names["indices"], axis=0)


def _one_hot(s: OpSite) -> str:
    depth = s.number(s.attr("num_classes"), "int64")
    return s.node("OneHot", s.names["self"], depth, s.number(np.array([0, 1]), "int64"), axis=-1)


def _one_hot_reason(view: OpView) -> str | None:
    if not view.first.shape:
        return "one_hot of a 0-d tensor has no ONNX form"
    return "num_classes must be given" if view.attrs["num_classes"] < 1 else None


def _triangle(upper: int) -> Onnx:
    def emit(s: OpSite) -> str:
        return s.node("Trilu", s.first, s.number(s.attr("diagonal", 0), "int64"), upper=upper)

    return Onnx(emit, dtypes=ANY, opset=14)


def _scatter(s: OpSite) -> str:
    shape = s.view.operands["index"].shape
    if s.has("src"):
        source = s.names["src"]
        for d, (have, want) in enumerate(zip(s.view.operands["src"].shape, shape, strict=True)):
            source = s.writer.slice(source, d, 0, want) if have != want else source
    else:
        source = s.writer.expand(s.number(s.attr("value")), shape)
    reduction = "add" if s.view.op == "scatter_add" else None
    return s.node("ScatterElements", s.names["self"], s.names["index"], source, axis=_dim(s), reduction=reduction)


def _scatter_reason(view: OpView) -> str | None:
    if view.attrs.get("reduce"):
        return f"reduce={view.attrs['reduce']!r} has no ONNX form here"
    return _of_one_rank(view)


INDEXING: dict[str, Onnx] = {
    "index_select": Onnx(_index_select, dtypes=ANY),
    "gather": Onnx(_gather, _of_one_rank, ANY),
    "take_along_dim": Onnx(_take_along, _take_along_reason, ANY),
    "index": Onnx(_index, _index_reason, ANY),
    "tril": _triangle(0),
    "triu": _triangle(1),
}

EMBEDDING: dict[str, Onnx] = {
    "embedding": Onnx(_embedding, dtypes=ANY),
    "one_hot": Onnx(_one_hot, _one_hot_reason, ("int64",)),
}

SCATTER: dict[str, Onnx] = {
    "scatter": Onnx(_scatter, _scatter_reason, ANY),
    "scatter_add": Onnx(_scatter, _of_one_rank, ("float32", "int64", "int32"), _REDUCED_SINCE),
}
