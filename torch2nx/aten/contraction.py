"""Matrix products, attention, recurrent layers, embeddings."""

from __future__ import annotations

from torch2nx.aten.row import CannotConvert, Draft, Table, rows


def _attention(draft: Draft) -> None:
    draft.require("dropout inside attention is random: call model.eval()", dropout_p=0.0)


def _recurrent(draft: Draft) -> None:
    if not draft.attrs["train"] or not draft.attrs["dropout"]:
        draft.attrs |= {"train": False, "dropout": 0.0}
    draft.require("dropout between its layers is random: call model.eval()", train=False, dropout=0.0)
    draft.attrs |= {"train": False, "dropout": 0.0}


def _packed(draft: Draft) -> None:
    raise CannotConvert("a packed sequence's shape depends on its lengths: pass the padded batch itself")


ROWS: Table = {
    **rows("linear matmul mm bmm mv dot addmm addmv baddbmm"),
    **rows("scaled_dot_product_attention", _attention),
    **rows("lstm.input gru.input rnn_tanh.input rnn_relu.input", _recurrent),
    **rows("lstm.data gru.data rnn_tanh.data rnn_relu.data", _packed),
    **rows("_pack_padded_sequence _pad_packed_sequence", _packed),
    **rows("lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell"),
    **rows("embedding"),
}
