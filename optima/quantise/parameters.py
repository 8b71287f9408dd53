"""What depends on parameters alone is computed before quantising: it must get a weight's type, not an activation's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def fold_parameters(model: Any) -> Any:
    """The ``ModelProto``, changed in place: rearrangements of initializers have become initializers."""
    from onnx import numpy_helper

    body = model.graph
    known = {i.name: i for i in body.initializer}
    outputs = {o.name for o in body.output}
    kept = []
    for node in body.node:
        step = _STEPS.get(node.op_type)
        if step is None or node.output[0] in outputs or not all(name in known for name in node.input):
            kept.append(node)
            continue
        arrays = [numpy_helper.to_array(known[name]) for name in node.input]
        attrs = {a.name: list(a.ints) for a in node.attribute}
        made = numpy_helper.from_array(np.ascontiguousarray(step(arrays, attrs)), node.output[0])
        known[made.name] = made
    read = {name for node in kept for name in node.input}
    _replace(body.node, kept)
    _replace(body.initializer, [known[name] for name in sorted(known) if name in read])
    return model


def _replace(field: Any, content: list[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in content]
    del field[:]
    field.extend(copies)


_STEPS: dict[str, Callable[[list[Array], dict[str, list[int]]], Array]] = {
    "Identity": lambda arrays, attrs: arrays[0],
    "Transpose": lambda arrays, attrs: arrays[0].transpose(attrs.get("perm")),
    "Reshape": lambda arrays, attrs: arrays[0].reshape(arrays[1].tolist()),
}
