"""Compare a compiled model with the module it came from: per output, and op by op down to the first difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from devices import UserError
from optima.arguments import check_options
from optima.graph import Graph, Op

if TYPE_CHECKING:
    import torch

    from optima.runtime import Model

Array = np.ndarray[Any, Any]

#: an answer is as accurate as eager's within this times eager's distance from the float64 result
AS_ACCURATE: Final = 2.0

#: four times the spacing of the type beside 1: a chain of half results may round each of them differently
HALF_TOLERANCES: Final = {"float16": 2.0**-8, "bfloat16": 2.0**-5}


class VerifyError(UserError):
    """A comparison that cannot be made: no samples, or a module that the folder was not compiled from.

    Example: ``optima.verify(OtherModel(), folder, samples)``. Fix: pass the module that was traced.
    """


@dataclass(frozen=True)
class Comparison:
    """One tensor compared over all samples. ``error`` is the largest difference over the expected tensor's scale.

    ``subgraph`` made the tensor ("" for a model input or constant); ``reason`` says what is wrong, "" if nothing.
    """

    tensor: str
    label: str
    subgraph: str
    error: float
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is equal within the tolerance."""
        return not self.reason


@dataclass(frozen=True)
class VerifyReport:
    """What ``verify`` found. ``first_difference`` is the first op, in graph order, whose result differs."""

    tolerance: float
    samples: int
    outputs: tuple[Comparison, ...]
    borders: tuple[Comparison, ...]
    first_difference: Op | None

    @property
    def ok(self) -> bool:
        """Whether every output and every border is equal within the tolerance."""
        return all(c.ok for c in (*self.outputs, *self.borders))

    @property
    def largest_error(self) -> float:
        """The largest error among the outputs, relative to each output's scale."""
        return max((c.error for c in self.outputs), default=0.0)

    def __str__(self) -> str:
        rows = [("", "tensor", "made by", "error", "")]
        wrong = [c for c in self.borders if not c.ok]
        for kind, items in (("output", self.outputs), ("border", wrong)):
            rows += [(kind, c.label or c.tensor, c.subgraph, f"{c.error:.1e}", c.reason or "ok") for c in items]
        if len(wrong) < len(self.borders):
            fine = [c.error for c in self.borders if c.ok]
            rows.append(("border", f"{len(fine)} tensors", "", f"{max(fine):.1e}", "ok"))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        verdict = "equal" if self.ok else "DIFFERENT"
        lines.append(f"{verdict} over {self.samples} samples, tolerance {self.tolerance:g} of each tensor's scale")
        if self.first_difference is not None:
            op = self.first_difference
            found = "no output shows it, but an op inside differs" if self.ok else "first op that differs"
            lines.append(f"{found}: {op.name}  {op.where}")
            if op.origins and op.origins[0].code:
                lines.append(f"    {op.origins[0].code}")
        return "\n".join(lines)


def verify(
    module: torch.nn.Module,
    model_folder: str | Path,
    samples: Sequence[tuple[Any, ...]],
    *,
    tolerance: float | None = None,
    fallback: bool = False,
    simulate: bool = False,
) -> VerifyReport:
    """Run ``module(*sample)`` and the compiled folder on the same samples and compare.

    ``fallback`` and ``simulate``: as for ``Context.load_model``. A subgraph that a device quantises differs by what
    integers leave: give ``tolerance=0.1`` or so, and look at the ratios that ``<subgraph>.meta`` states.

    Each sample is what the module takes: a tuple of positional arguments, or a dict of keyword arguments.
    ``tolerance`` is relative to the largest magnitude in the expected tensor; None is 1e-4, or four times the
    spacing beside 1 of the coarsest type in the model (3.9e-3 with float16, 3.1e-2 with bfloat16), whose results
    each library rounds at other places. NaN against a number, a missing output, another shape or dtype is a
    difference. PyTorch's transformer layers run by their Python code (``without_fast_path``).

    Raises VerifyError when there is nothing to compare or the module's graph is not the folder's, OptionError for
    arguments of another type, among them a tolerance that everything would be within.
    """
    from optima.runtime import Context

    check_options(
        "optima.verify",
        model_folder=model_folder,
        samples=samples,
        tolerance=tolerance,
        fallback=fallback,
        simulate=simulate,
    )
    if len(samples) == 0:
        raise VerifyError("there are no samples to compare on", hint="pass at least one tuple of inputs")
    model = Context().load_model(model_folder, fallback, simulate=simulate)
    calls = [_arguments(sample) for sample in samples]
    graph = _trace(module, calls[0], model)
    tables: dict[str, _Worst] = {}
    if tolerance is None:
        tolerance = default_tolerance(t.dtype for t in graph.tensors.values())
    for args, kwargs in calls:
        eager = _eager(module, args, kwargs)
        _compare_sample(graph, model, args, kwargs, eager, tables, tolerance)
    return _report(graph, model, tables, len(calls), tolerance)


def default_tolerance(dtypes: Iterable[str]) -> float:
    """The tolerance for a model that holds tensors of these dtypes."""
    return max((HALF_TOLERANCES.get(dtype, 1e-4) for dtype in dtypes), default=1e-4)


@contextmanager
def without_fast_path() -> Iterator[None]:
    """PyTorch's transformer layers by their Python code, as they are traced.

    At inference they may take a fused path, which leaves zeros (or NaN, for a row of padding alone) in padded
    places, where that code computes numbers that a padding mask says nobody reads.
    """
    import torch

    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def _arguments(sample: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(sample, Mapping):
        return (), dict(sample)
    if isinstance(sample, list | tuple):
        return tuple(sample), {}
    raise VerifyError(
        f"a sample is a {type(sample).__name__}", hint="each sample is a tuple of what module(*sample) takes"
    )


def _trace(module: torch.nn.Module, call: tuple[tuple[Any, ...], dict[str, Any]], model: Model) -> Graph:
    """The module's graph, which must be the one that the folder was compiled from."""
    from optima.graph_io import load_graph
    from optima.packaging import graph_digest
    from torch2nx.converter import Torch2GraphConverter

    converter = Torch2GraphConverter()
    traced = converter.convert(model=module, fake_torch_data=list(call[0]), fake_torch_kwargs=call[1])
    graph = load_graph(traced)
    if graph_digest(graph) != model.meta.graph_sha256:
        raise VerifyError(
            f"this module is not the one that {model.meta.name!r} was compiled from: its graph differs",
            hint="pass the module and samples that were given to convert(), or compile it again",
        )
    return graph


def _eager(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Array]:
    import torch
    from torch.utils import _pytree

    from optima.ops.reference import to_numpy

    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad(), without_fast_path():
            result = module(*_copies(args), **_copies(kwargs))
    finally:
        for part in training:
            part.training = True
    return [to_numpy(leaf) for leaf in _pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]


def _copies(tree: Any) -> Any:
    """Inputs of their own for eager, which may write into them."""
    import torch
    from torch.utils import _pytree

    return _pytree.tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, tree)


@dataclass
class _Worst:
    """The worst comparison of one tensor so far."""

    error: float = 0.0
    reason: str = ""

    def add(self, error: float, reason: str) -> None:
        self.error = max(self.error, error)
        self.reason = self.reason or reason


def _compare_sample(
    graph: Graph,
    model: Model,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    eager: list[Array],
    tables: dict[str, _Worst],
    tolerance: float,
) -> None:
    from optima.ops.reference import run_graph, to_numpy

    inputs = model.flatten_inputs(args, kwargs)
    outputs = model.run_flat(inputs)
    for index, expected in enumerate(eager):
        found = outputs[index] if index < len(outputs) else None
        dtype = model.meta.outputs[index].dtype if index < len(model.meta.outputs) else ""
        tables.setdefault(f"output {index}", _Worst()).add(*difference(expected, found, dtype, tolerance))
    seen = model.trace(inputs)

    def watch(op: Op, results: tuple[torch.Tensor, ...]) -> None:
        for name, value in zip(op.outputs, results, strict=True):
            if name in seen:
                expected = to_numpy(value)
                found = difference(expected, seen[name], graph.tensors[name].dtype, tolerance)
                tables.setdefault(name, _Worst()).add(*found)

    run_graph(graph, inputs, watch=watch)


def difference(expected: Array, found: Array | None, dtype: str, tolerance: float) -> tuple[float, str]:
    """(error relative to the expected tensor's scale, what is wrong or ""). bfloat16 arrays are uint16 bits."""
    if found is None:
        return float("inf"), "missing"
    if found.shape != expected.shape:
        return float("inf"), f"shape {list(found.shape)} instead of {list(expected.shape)}"
    if found.dtype != expected.dtype:
        return float("inf"), f"dtype {found.dtype} instead of {expected.dtype}"
    a, b = _wide(expected, dtype), _wide(found, dtype)
    if a.dtype == bool or not np.issubdtype(a.dtype, np.floating):
        wrong = int(np.count_nonzero(a != b))
        return (float(wrong) / max(a.size, 1), f"{wrong} elements differ" if wrong else "")
    if np.any(np.isnan(a) != np.isnan(b)):
        return float("inf"), "NaN on one side only"
    finite = np.isfinite(a) & np.isfinite(b)
    if np.any((a != b) & ~finite & ~np.isnan(a)):
        return float("inf"), "infinite on one side only"
    if not finite.any():
        return 0.0, ""
    scale = float(np.abs(a[finite]).max())
    largest = float(np.abs(a[finite] - b[finite]).max())
    error = largest / scale if scale else (0.0 if largest == 0 else float("inf"))
    return error, f"differs by {error:.1e} of its scale" if error > tolerance else ""


def distances(exact: torch.Tensor, want: torch.Tensor, got: torch.Tensor) -> tuple[float, float] | None:
    """How far eager's answer ``want`` and ``got`` are from the float64 result ``exact`` where that is finite.

    Of ill-conditioned problems eager itself is far from it: ``got`` is as accurate if it is not much farther. None
    where they cannot be compared: another shape or type, or numbers that are not finite in other places.
    """
    import torch

    alike = want.shape == got.shape == exact.shape and want.dtype == got.dtype and exact.dtype == torch.float64
    if not alike or not want.is_floating_point():
        return None
    finite = exact.isfinite()
    same_elsewhere = torch.equal(want[~finite].nan_to_num(), got[~finite].nan_to_num())
    if not same_elsewhere or not bool(got[finite].isfinite().all()) or not bool(finite.any()):
        return None
    theirs, ours = (float((t.double() - exact)[finite].abs().max()) for t in (want, got))
    return theirs, ours


def _wide(array: Array, dtype: str) -> Array:
    if dtype == "bfloat16":
        return (array.astype("uint32") << 16).view("float32").astype("float64")
    if dtype.startswith("float"):
        return array.astype("float64")
    return array


def _report(graph: Graph, model: Model, tables: Mapping[str, _Worst], samples: int, tolerance: float) -> VerifyReport:
    made_by = {name: part.name for part in model.meta.subgraphs for name in part.outputs}

    def row(key: str, tensor: str, label: str) -> Comparison:
        worst = tables.get(key, _Worst(float("inf"), "missing"))
        return Comparison(tensor, label, made_by.get(tensor, ""), worst.error, worst.reason)

    outputs = [row(key, key, key) for key in tables if key.startswith("output ")]
    named = [
        Comparison(meta.name, meta.label or c.label, made_by.get(meta.name, ""), c.error, c.reason)
        for c, meta in zip(outputs, model.meta.outputs, strict=False)
    ] + outputs[len(model.meta.outputs) :]
    named += [
        Comparison(m.name, m.label, "", float("inf"), "eager returns no such output")
        for m in model.meta.outputs[len(outputs) :]
    ]
    final = set(graph.outputs)
    border_names = [out for op in graph.ops for out in op.outputs if out in made_by and out not in final]
    first = next((op for op in graph.ops for out in op.outputs if out in tables and tables[out].reason), None)
    return VerifyReport(tolerance, samples, tuple(named), tuple(row(n, n, "") for n in border_names), first)
