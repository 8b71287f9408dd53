"""Normalisations and softmax."""

from __future__ import annotations

from torch2nx.aten.row import CannotConvert, Draft, Table, rows


def _batch_norm(draft: Draft) -> None:
    if draft.attrs["training"] and "running_mean" in draft.operands:
        raise CannotConvert("it updates running statistics: call model.eval()")


def _batch_norm_inference(draft: Draft) -> None:
    draft.keep_outputs(1)
    draft.attrs = {"training": False, **draft.attrs, "cudnn_enabled": True}


def _instance_norm(draft: Draft) -> None:
    if draft.attrs["use_input_stats"] and "running_mean" in draft.operands:
        raise CannotConvert("it updates running statistics: call model.eval()")


def _native_layer_norm(draft: Draft) -> None:
    draft.keep_outputs(1)
    draft.attrs["cudnn_enable"] = True


def _softmax(draft: Draft) -> None:
    draft.require("half_to_float", half_to_float=False)
    draft.attrs["dtype"] = None


ROWS: Table = {
    **rows("batch_norm", _batch_norm),
    **rows("_native_batch_norm_legit_no_training", _batch_norm_inference, op="batch_norm"),
    **rows("instance_norm", _instance_norm),
    **rows("layer_norm group_norm rms_norm softmax.int log_softmax.int logsumexp"),
    **rows("native_layer_norm", _native_layer_norm, op="layer_norm"),
    **rows("_softmax", _softmax, op="softmax"),
    **rows("_log_softmax", _softmax, op="log_softmax"),
}
