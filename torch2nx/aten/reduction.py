"""Reductions and scans."""

from __future__ import annotations

from torch2nx.aten.row import CannotConvert, Draft, Table, rows


def _whole(draft: Draft) -> None:
    """The overload without ``dim``: over all axes."""
    draft.attrs = {"dim": None, "keepdim": False, **draft.attrs}


def _extreme_of_all(draft: Draft) -> None:
    # max() and amax() agree in everything, NaN included; an empty list means all axes.
    draft.attrs = {"dim": [], "keepdim": False}


def _variance(draft: Draft) -> None:
    """``unbiased`` becomes ``correction``, and an absent correction is 1."""
    unbiased = draft.attrs.pop("unbiased", True)
    correction = draft.attrs.pop("correction", 1 if unbiased else 0)
    draft.attrs = {
        "dim": draft.attrs.get("dim"),
        "correction": 1 if correction is None else correction,
        "keepdim": draft.attrs.get("keepdim", False),
    }


def _vector_norm(draft: Draft) -> None:
    """``norm(p, dim)`` in the terms of ``linalg_vector_norm``."""
    order = draft.attrs.get("p")
    if isinstance(order, str):
        raise CannotConvert(f"p={order!r}")
    draft.attrs = {
        "ord": 2.0 if order is None else order,
        "dim": draft.attrs.get("dim"),
        "keepdim": draft.attrs.get("keepdim", False),
        "dtype": draft.attrs.get("dtype"),
    }


ROWS: Table = {
    **rows("mean.dim sum.dim_IntList amax amin argmax argmin max.dim min.dim cumsum prod.dim_int"),
    **rows("mean sum prod any all", _whole),
    **rows("any.dim any.dims all.dim all.dims"),
    **rows("max", _extreme_of_all, op="amax"),
    **rows("min", _extreme_of_all, op="amin"),
    **rows("var var.dim var.correction std std.dim std.correction", _variance),
    **rows("var_mean var_mean.dim var_mean.correction std_mean std_mean.dim std_mean.correction", _variance),
    **rows("aminmax"),
    **rows("nansum"),
    **rows("histc"),
    **rows("count_nonzero count_nonzero.dim_IntList"),
    **rows("linalg_vector_norm"),
    **rows("norm.Scalar norm.ScalarOpt_dim norm.ScalarOpt_dim_dtype", _vector_norm, op="linalg_vector_norm"),
}
