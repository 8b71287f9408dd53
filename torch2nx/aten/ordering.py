"""Sorting, selection, scans and searches."""

from __future__ import annotations

from torch2nx.aten.row import Draft, Table, rows


def _sorting(draft: Draft) -> None:
    """Every sort here is stable, as torch's CPU kernels are."""
    draft.drop("stable")


def _of_all(draft: Draft) -> None:
    draft.attrs = {"dim": None, "keepdim": False}


ROWS: Table = {
    **rows("sort sort.stable argsort argsort.stable", _sorting),
    **rows("msort topk kthvalue median.dim nanmedian.dim mode"),
    **rows("median nanmedian", _of_all),
    **rows("cumprod cummax cummin logcumsumexp"),
    **rows("quantile quantile.scalar nanquantile nanquantile.scalar nonzero_static"),
    **rows("searchsorted.Tensor searchsorted.Scalar bucketize.Tensor bucketize.Scalar isin.Tensor_Tensor"),
}
