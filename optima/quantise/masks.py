"""Masks before a softmax: "not this one" written as -1e30 takes the whole range of an integer, and leaves none.

Behind a softmax any number that is far enough below the scores does the same. How far the scores go is seen on the
representative data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

#: a constant below this is a mask and no bias
_MASKS_BELOW = -1e4
#: exp(-16) is 1e-7: such a share of the attention is below what 16 bits can tell from nothing
_FAR = 16.0


@dataclass(frozen=True)
class _Mask:
    """A constant that a node puts over scores; ``scores`` are the node's other value, ``place`` its operand."""

    node: Any
    place: int
    scores: str


def soften_masks(model: Any, samples: Mapping[str, Array]) -> Any:
    """The ``ModelProto``, changed in place: entries of masks are as low as the scores on ``samples`` need.

    Only constants that are added to scores, or chosen in their place, right before a ``Softmax``.
    """
    from onnx import numpy_helper

    constants = {i.name: i for i in model.graph.initializer}
    masks = list(_masks(model, constants))
    if not masks:
        return model
    for mask, largest in zip(masks, _largest(model, [m.scores for m in masks], samples), strict=True):
        old = numpy_helper.to_array(constants[mask.node.input[mask.place]])
        low = np.float32(-(2.0 * largest + _FAR))
        name = f"{mask.node.output[0]}/mask"
        made = numpy_helper.from_array(np.where(old < _MASKS_BELOW, low, old).astype(old.dtype), name)
        model.graph.initializer.append(made)
        mask.node.input[mask.place] = name
    return model


def _masks(model: Any, constants: Mapping[str, Any]) -> Iterator[_Mask]:
    from onnx import numpy_helper

    readers: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    values = {"Add": (0, 1), "Where": (1, 2)}
    for node in model.graph.node:
        if node.op_type not in values or readers.get(node.output[0]) != ["Softmax"]:
            continue
        for place in values[node.op_type]:
            (other,) = [node.input[k] for k in values[node.op_type] if k != place]
            found = constants.get(node.input[place])
            if found is not None and other not in constants and _is_mask(numpy_helper.to_array(found)):
                yield _Mask(node, place, other)


def _is_mask(array: Array) -> bool:
    """Whether some entries forbid, and the others are ordinary numbers."""
    forbids = array < _MASKS_BELOW
    return array.dtype == np.float32 and bool(forbids.any()) and bool(np.isfinite(array[~forbids]).all())


def _largest(model: Any, values: list[str], samples: Mapping[str, Array]) -> list[float]:
    """The largest magnitude of inner values over all samples."""
    import onnx
    import onnxruntime

    seeing = onnx.ModelProto()
    seeing.CopyFrom(model)
    known = {o.name for o in seeing.graph.output}
    wanted = [n for n in dict.fromkeys(values) if n not in known]
    seeing.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in wanted)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(seeing.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = dict.fromkeys(values, 0.0)
    for k in range(len(next(iter(samples.values())))):
        results = session.run(list(found), {name: np.asarray(array[k]) for name, array in samples.items()})
        found = {n: max(m, float(np.abs(r).max())) for (n, m), r in zip(found.items(), results, strict=True)}
    return [found[name] for name in values]
