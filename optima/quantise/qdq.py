"""ONNX -> ONNX with quantise/dequantise nodes (QDQ), in the form that Qualcomm's execution provider takes.

By ``onnxruntime.quantization``, https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html: ranges are
the smallest and largest values seen on the representative data, per tensor.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from devices import Problem, UserError
from optima.quantise.masks import soften_masks
from optima.quantise.parameters import fold_parameters

Array = np.ndarray[Any, Any]


class QuantisationError(UserError):
    """A model that cannot be quantised, or of which mostly noise would be left. The message names the tensors.

    Example: a subgraph on ``HEXAGON:0`` with values up to 1e30 in it, such as the mask of causal attention.
    Fix: ``device_options={"HEXAGON": {"activation_bits": 16}}``, more typical samples, or map those ops elsewhere.
    """


@dataclass(frozen=True)
class Scheme:
    """Widths in bits: activations 8 or 16, weights 8. All unsigned, one scale per tensor."""

    activation_bits: int = 8
    weight_bits: int = 8

    def __str__(self) -> str:
        return f"u{self.activation_bits} activations, u{self.weight_bits} weights, per tensor, min-max"


def prepare(model: bytes, samples: Mapping[str, Array]) -> bytes:
    """A float32 ONNX model as quantisers should see it, ours and the vendors': what depends on parameters alone is a
    parameter, and masks are no lower than the scores on ``samples`` need."""
    import onnx

    folded = fold_parameters(onnx.load_model_from_string(model))
    # Once more: what only the old masks read is left over.
    prepared = fold_parameters(soften_masks(folded, samples))
    data: bytes = prepared.SerializeToString(deterministic=True)
    return data


def quantise(model: bytes, samples: Mapping[str, Array], scheme: Scheme) -> bytes:
    """The QDQ form of a float32 ONNX model that ``prepare`` made.

    ``samples`` maps each input to an array ``[samples, *shape]``. The bytes depend on the arguments and on the
    versions of onnx and onnxruntime alone. Raises QuantisationError where a range is not finite.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize
    from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config, qnn_preprocess_model

    activations = QuantType.QUInt8 if scheme.activation_bits == 8 else QuantType.QUInt16
    with tempfile.TemporaryDirectory(prefix="optima-quantise-") as folder, _quiet():
        source, fused, made = (Path(folder) / name for name in ("float.onnx", "fused.onnx", "qdq.onnx"))
        source.write_bytes(model)
        ready = fused if qnn_preprocess_model(source, fused) else source
        config = get_qnn_qdq_config(ready, _reader(samples), activation_type=activations, weight_type=QuantType.QUInt8)
        quantize(ready, made, config)
        written = onnx.load_model(made)
    _refuse_infinite_ranges(onnx, written)
    data: bytes = written.SerializeToString(deterministic=True)
    return data


def _reader(samples: Mapping[str, Array]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """One dict by input name per sample, then None."""

        def __init__(self) -> None:
            count = len(next(iter(samples.values())))
            self._rest = iter([{name: np.asarray(array[k]) for name, array in samples.items()} for k in range(count)])

        def get_next(self) -> dict[str, Array] | None:
            return next(self._rest, None)

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """The library gives advice by way of the root logger, which is not about this model; and numpy warns of what
    is refused by name afterwards."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        root.setLevel(level)


def _refuse_infinite_ranges(onnx: Any, model: Any) -> None:
    """A tensor that is infinite somewhere gets no usable scale."""
    arrays = {i.name: i for i in model.graph.initializer}
    problems = []
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[1] in arrays:
            scale = onnx.numpy_helper.to_array(arrays[node.input[1]])
            if not np.isfinite(scale).all() or not (scale > 0).all():
                problems.append(Problem(node.input[0], f"has no finite range: its scale is {float(scale.max())}"))
    if problems:
        raise QuantisationError(
            "tensors that are infinite on the representative data cannot be quantised",
            problems=problems,
            hint="use finite numbers (a mask of -100 instead of -inf), or map the ops that make them elsewhere",
        )
