"""A float TFLite model -> full int8, by ``ai-edge-quantizer``. Runs in a worker process.

Activations are int8 with one scale and zero point per tensor, weights int8 with a scale per output channel, biases
int32. FULLY_CONNECTED has one scale for its whole weight: a scale per channel came to it years after the last release
of the Edge TPU's compiler. Ranges are minimum and maximum over all samples; the quantiser's own default, a moving
average, forgets what few samples show and depends on their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices import InternalError, Problem
from optima.backends.edgetpu.tidy import tidied
from optima.quantise import QuantisationError

Array = np.ndarray[Any, Any]

SCHEME = "int8: activations per tensor, weights per output channel (fully connected: per tensor), int32 biases"
_SIGNATURE = "serving_default"
#: operators at the border, where float32 comes in and goes out
_BORDER = ("QUANTIZE", "DEQUANTIZE")


def quantised(model: bytes, samples: Sequence[Mapping[str, Array]]) -> bytes:
    """The int8 form of a float model whose signature has the samples' names; its borders stay float32.

    Equal arguments and versions give equal bytes. Raises QuantisationError listing tensors that are not finite for
    the samples, and InternalError if anything but the borders is left in float.
    """
    from ai_edge_quantizer import quantizer

    recipe = _recipe()
    made = quantizer.Quantizer(model, recipe.get_quantization_recipe())
    ranges = _ranges(model, samples, recipe)
    result = tidied(bytes(made.quantize(ranges, enable_progress_report=False).quantized_model))
    left = [f"{name} of {dtypes}" for name, dtypes in _float_operators(result)]
    if left:
        raise InternalError(f"the quantiser left {', '.join(left)} in float", hint="map these ops to another device")
    return result


def _recipe() -> Any:
    from ai_edge_quantizer import qtyping, quantizer, recipe_manager

    names, recipe = qtyping.TFLOperationName, recipe_manager.RecipeManager()
    recipe.add_static_config(".*", names.ALL_SUPPORTED, 8, 8)
    recipe.add_static_config(".*", names.FULLY_CONNECTED, 8, 8, qtyping.QuantGranularity.TENSORWISE)
    for border in (names.INPUT, names.OUTPUT):
        recipe.add_quantization_config(".*", border, None, quantizer.AlgorithmName.NO_QUANTIZE)
    return recipe


def _ranges(model: bytes, samples: Sequence[Mapping[str, Array]], recipe: Any) -> dict[str, dict[str, Array]]:
    """Minimum and maximum of each tensor."""
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    # One thread: sums in another order would give other bytes.
    watching = calibrator.Calibrator(model, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    watching.calibrate({_SIGNATURE: [dict(sample) for sample in samples]}, recipe)
    found: dict[str, dict[str, Array]] = watching.get_model_qsvs()
    problems = [
        Problem(name.partition("/")[0], "is not finite inside for some of the samples")
        for name, ends in found.items()
        if any(not np.isfinite(end).all() for end in ends.values())
    ]
    if problems:
        raise QuantisationError(
            "values that are not finite have no int8 form", problems=problems, hint="pass samples of the real data"
        )
    return {name: _with_width(ends) for name, ends in found.items()}


def _with_width(ends: dict[str, Array]) -> dict[str, Array]:
    """A range with an extent: what is 0 for every sample would get a scale near 0, whose ratio to others the
    runtime's integer arithmetic cannot hold."""
    low, high = (np.asarray(ends[key]) for key in ("min", "max"))
    if low.size == 1 and not low.any() and not high.any():
        return {**ends, "max": np.ones_like(high)}
    return ends


def _float_operators(model: bytes) -> list[tuple[str, str]]:
    """Operators other than those at the border that read or write floats."""
    from ai_edge_litert import schema_py_generated as schema

    parsed = schema.ModelT.InitFromPackedBuf(model, 0)
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    whole = (schema.TensorType.INT8, schema.TensorType.INT32)
    found = []
    for graph in parsed.subgraphs:
        for op in graph.operators:
            name = names[parsed.operatorCodes[op.opcodeIndex].builtinCode]
            kinds = {graph.tensors[k].type for k in (*op.inputs, *op.outputs) if k >= 0}
            if name not in _BORDER and not kinds <= set(whole):
                found.append((name, str(sorted(kinds))))
    return found
