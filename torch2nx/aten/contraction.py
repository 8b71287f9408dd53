"""Matrix products, attention, recurrent layers, embeddings."""

from __future__ import annotations

from torch2nx.aten.row import Draft, Table, rows


def _attention(draft: Draft) -> None:
    draft.require("dropout inside attention is random: call model.eval()", dropout_p=0.0)


def _lstm(draft: Draft) -> None:
    if not draft.attrs["train"] or not draft.attrs["dropout"]:
        draft.attrs |= {"train": False, "dropout": 0.0}
    draft.require("dropout between its layers is random: call model.eval()", train=False, dropout=0.0)
    draft.attrs |= {"train": False, "dropout": 0.0}


ROWS: Table = {
    **rows("linear matmul mm bmm mv dot addmm addmv baddbmm"),
    **rows("scaled_dot_product_attention", _attention),
    **rows("lstm.input", _lstm),
    **rows("lstm_cell"),
    **rows("embedding"),
}
