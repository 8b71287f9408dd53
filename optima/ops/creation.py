"""Tensors made from nothing: evaluated when the model is compiled. Those shaped like an operand are kernels too,
since their operand may come from the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optima.ops import exact_math as em
from optima.ops.entry import REQUIRED, No, OpEntry, OpView, Te, Trait
from optima.ops.pointwise import Tensors, supported
from optima.ops.promotion import is_float, scalar_fits
from optima.ops.reference import aten

_FOLDED = No("folded at compile time")


def _source(name: str, attrs: Mapping[str, Any], reference: Callable[..., Any] | None = None) -> OpEntry:
    return OpEntry(name, (), reference or aten(name), attrs, frozenset(), _FOLDED)


def _filled(value: float | None) -> Te:
    """A route that writes one value: ``value``, or the attribute ``fill_value``."""

    def compute(view: OpView, tensors: Tensors) -> list[Any]:
        from tvm import te

        out = view.outputs[0]
        number = view.attrs["fill_value"] if value is None else value
        return [te.compute(out.shape, lambda *i: em.literal(number, out.dtype, i), name=view.op)]

    def reason(view: OpView) -> str | None:
        number, dtype = view.attrs["fill_value"] if value is None else value, view.outputs[0].dtype
        if isinstance(number, complex) or not (is_float(dtype) or scalar_fits(number, dtype)):
            return f"fill_value={number!r} does not fit in {dtype}"
        return None

    return supported(compute, reason)


def _like(name: str, attrs: Mapping[str, Any], value: float | None) -> OpEntry:
    traits = frozenset({Trait.ELEMENTWISE}) if name.endswith("_like") else frozenset()
    return OpEntry(name, ("self",), aten(name), {**attrs, "dtype": None}, traits, _filled(value))


def _arange(**arguments: Any) -> Any:
    import torch

    start, end, step = (arguments[k] for k in ("start", "end", "step"))
    return torch.ops.aten.arange.start_step(start, end, step, dtype=arguments["dtype"])


def _defined(name: str) -> Callable[..., Any]:
    """Uninitialised memory, made repeatable: zeros."""

    def call(**arguments: Any) -> Any:
        import torch

        return getattr(torch.ops.aten, name)(**arguments)

    return call


ENTRIES: tuple[OpEntry, ...] = (
    _source("arange", {"start": 0, "end": REQUIRED, "step": 1, "dtype": None}, _arange),
    _source("linspace", {"start": REQUIRED, "end": REQUIRED, "steps": REQUIRED, "dtype": None}),
    _source("zeros", {"size": REQUIRED, "dtype": None}),
    _source("ones", {"size": REQUIRED, "dtype": None}),
    _source("empty", {"size": REQUIRED, "dtype": None}, _defined("zeros")),
    _source("full", {"size": REQUIRED, "fill_value": REQUIRED, "dtype": None}),
    _source("eye", {"n": REQUIRED, "dtype": None}),
    _source("scalar_tensor", {"s": REQUIRED, "dtype": None}),
    _like("zeros_like", {}, 0),
    _like("ones_like", {}, 1),
    _like("full_like", {"fill_value": REQUIRED}, None),
    _like("new_zeros", {"size": REQUIRED}, 0),
    _like("new_ones", {"size": REQUIRED}, 1),
    _like("new_full", {"size": REQUIRED, "fill_value": REQUIRED}, None),
    OpEntry(
        "empty_like", ("self",), _defined("zeros_like"), {"dtype": None}, frozenset({Trait.ELEMENTWISE}), _filled(0)
    ),
)
