"""Ops with several outputs, each a slice of the operand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

from optima.ops.entry import REQUIRED, OpEntry, OpView, Trait
from optima.ops.indices import axis
from optima.ops.onnx.joining import SPLITTING
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import Tensors, supported
from optima.ops.reference import aten
from optima.ops.tflite.joining import SPLITTING as TFLITE
from optima.ops.tflite.routes import with_tflite


def _parts(view: OpView, tensors: Tensors) -> list[Any]:
    """Consecutive slices along ``dim``; the outputs' extents say where each begins."""
    from tvm import te

    x = tensors["self"]
    dim = axis(view.attrs["dim"], len(view.first.shape))
    ends = accumulate(out.shape[dim] for out in view.outputs)

    def part(k: int, start: int, shape: tuple[int, ...]) -> Any:
        def at(*index: Any) -> Any:
            return x(*[i + start if d == dim else i for d, i in enumerate(index)])

        return te.compute(shape, at, name=f"{view.op}_{k}")

    starts = [end - out.shape[dim] for end, out in zip(ends, view.outputs, strict=True)]
    return [part(k, s, o.shape) for k, (s, o) in enumerate(zip(starts, view.outputs, strict=True))]


def _unbind(view: OpView, tensors: Tensors) -> list[Any]:
    from tvm import te

    x = tensors["self"]
    dim = axis(view.attrs["dim"], len(view.first.shape))

    def member(k: int, shape: tuple[int, ...]) -> Any:
        return te.compute(shape, lambda *i: x(*i[:dim], k, *i[dim:]), name=f"{view.op}_{k}")

    return [member(k, out.shape) for k, out in enumerate(view.outputs)]


def _split(name: str, attrs: Mapping[str, Any], compute: Callable[[OpView, Tensors], list[Any]] = _parts) -> OpEntry:
    traits = frozenset({Trait.VIEW, Trait.INJECTIVE})
    return OpEntry(name, ("self",), aten(name), attrs, traits, supported(compute))


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        _split("split", {"split_size": REQUIRED, "dim": 0}),
        _split("split_with_sizes", {"split_sizes": REQUIRED, "dim": 0}),
        _split("chunk", {"chunks": REQUIRED, "dim": 0}),
        _split("unbind", {"dim": 0}, _unbind),
    ),
    SPLITTING,
)
ENTRIES = with_tflite(ENTRIES, TFLITE)
