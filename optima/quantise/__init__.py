"""Models as integers: an ONNX model with quantise/dequantise nodes from representative data, and how good it is."""

from __future__ import annotations

from optima.quantise.qdq import QuantisationError, Scheme, prepare, quantise
from optima.quantise.quality import MOST_DB, refuse_noise, sqnr_db, sqnr_of_outputs
from optima.quantise.raw import calibration_files

__all__ = [
    "MOST_DB",
    "QuantisationError",
    "Scheme",
    "calibration_files",
    "prepare",
    "quantise",
    "refuse_noise",
    "sqnr_db",
    "sqnr_of_outputs",
]
