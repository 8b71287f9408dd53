"""A graph as a float TFLite model, for devices whose compilers read TFLite. Needs the extra ``optima[tpu]``."""

from __future__ import annotations

from optima.tflite_export.answers import tflite_answers
from optima.tflite_export.device_ops import ON_DEVICE, host_ops
from optima.tflite_export.emission import TfliteModel, emit
from optima.tflite_export.flatbuffer import TfliteMissing, serialized, to_tflite

__all__ = ["ON_DEVICE", "TfliteMissing", "TfliteModel", "emit", "host_ops", "serialized", "tflite_answers", "to_tflite"]
