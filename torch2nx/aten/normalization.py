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


def _native_batch_norm(draft: Draft) -> None:
    """As ``batch_norm``, where nothing reads the statistics that it saves."""
    _batch_norm(draft)
    draft.keep_outputs(1)
    draft.attrs["cudnn_enabled"] = True


def _statistics_read(draft: Draft) -> bool:
    return any(draft.used(v) for v in draft.outputs[1:])


def _native_layer_norm(draft: Draft) -> None:
    """``layer_norm``, or the op of its own name where the means or inverse deviations are read."""
    if _statistics_read(draft):
        draft.op = "native_layer_norm"
        return
    draft.keep_outputs(1)
    draft.attrs["cudnn_enable"] = True


def _native_group_norm(draft: Draft) -> None:
    if _statistics_read(draft):
        draft.op = "native_group_norm"
        return
    draft.keep_outputs(1)
    draft.attrs = {"num_groups": draft.attrs["group"], "eps": draft.attrs["eps"], "cudnn_enabled": True}


def _fused_rms_norm(draft: Draft) -> None:
    draft.keep_outputs(1)


def _softmax(draft: Draft) -> None:
    draft.require("half_to_float", half_to_float=False)
    draft.attrs["dtype"] = None


ROWS: Table = {
    **rows("batch_norm", _batch_norm),
    **rows("_native_batch_norm_legit_no_training", _batch_norm_inference, op="batch_norm"),
    **rows("instance_norm", _instance_norm),
    **rows("layer_norm group_norm rms_norm softmax.int log_softmax.int logsumexp"),
    **rows("native_layer_norm", _native_layer_norm, op="layer_norm"),
    **rows("native_group_norm", _native_group_norm, op="group_norm"),
    **rows("native_batch_norm _native_batch_norm_legit.no_stats", _native_batch_norm, op="batch_norm"),
    **rows("_fused_rms_norm", _fused_rms_norm, op="rms_norm"),
    **rows("_softmax", _softmax, op="softmax"),
    **rows("_log_softmax", _softmax, op="log_softmax"),
}
