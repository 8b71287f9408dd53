"""A graph as an ONNX model, for devices whose compilers read ONNX. Needs the extra ``optima[onnx]``."""

from __future__ import annotations

from optima.onnx_export.answers import dtype_answers, onnx_answers
from optima.onnx_export.model import NEWEST_OPSET, OLDEST_OPSET, OnnxMissing, to_onnx

__all__ = ["NEWEST_OPSET", "OLDEST_OPSET", "OnnxMissing", "dtype_answers", "onnx_answers", "to_onnx"]
