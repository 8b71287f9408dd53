"""One model in this process: made, run by eager PyTorch, exported, converted, compiled, run, compared, timed."""

from __future__ import annotations

import copy
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree

import optima.runtime as rt
from devices import DeviceEnum, UserError
from optima.jobs import KernelCompileError, stop_workers
from optima.manager import Manager
from optima.ops.reference import to_numpy, to_torch
from optima.verification import AS_ACCURATE, difference, distances
from torch2nx import exporting
from torch2nx.converter import Torch2GraphConverter
from zoo.entry import Entry
from zoo.randomize import randomize
from zoo.result import ACCURATE, CRASHED, EQUAL, ILL_CONDITIONED, NOT_RUN, REFUSED, WRONG, Result, tolerance_of

#: seconds of timed runs per side at most, and pairs of runs at least and at most
_BUDGET_S, _FEWEST, _MOST = 3.0, 3, 15


@dataclass
class _Subject:
    """A model with its inputs and what eager gives for them."""

    module: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expected: list[torch.Tensor] = field(default_factory=list)

    def run(self) -> list[torch.Tensor]:
        """What eager gives, on inputs of its own."""
        with torch.no_grad():
            answer = self.module(*_copies(self.args), **_copies(self.kwargs))
        return [leaf.clone() for leaf in _pytree.tree_leaves(answer) if isinstance(leaf, torch.Tensor)]

    @cached_property
    def exact(self) -> list[torch.Tensor] | None:
        """What eager gives in float64; None where the model has no such form, or answers differently each time."""
        try:
            args, kwargs = _pytree.tree_map_only(torch.Tensor, _widened, (self.args, self.kwargs))
            found = _Subject(copy.deepcopy(self.module).double(), args, kwargs).run()
            repeats = all(map(torch.equal, self.expected, self.run()))
        except Exception:  # noqa: BLE001 - types of its own, or whatever else the model raises
            return None
        return found if repeats and len(found) == len(self.expected) else None

    @property
    def dtypes(self) -> frozenset[str]:
        tensors = [*self.module.parameters(), *self.expected]
        return frozenset(str(t.dtype).removeprefix("torch.") for t in tensors)


def measure(
    entry: Entry, *, timed: bool = True, workers: int = 0, at_stage: Callable[[str], None] = lambda stage: None
) -> Result:
    """Take a model through everything. Never raises for what the model does.

    ``timed`` also measures the latency beside eager; ``workers`` compile processes, 0 for one per core; ``at_stage``
    is told the name of each stage as it begins.
    """
    began = time.perf_counter()
    result = Result(entry.name, entry.family, NOT_RUN)

    def enter(stage: str) -> None:
        nonlocal result
        result = replace(result, stage=stage)
        at_stage(stage)

    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        try:
            enter("eager")
            subject = _make(entry)
            result = replace(result, status=CRASHED)
            enter("convert")
            result, stored = _convert(subject, result, Path(folder))
            enter("compile")
            result, path = _compile(result, stored, Path(folder), workers)
            enter("run")
            model = rt.Context(threads=1).load_model(path)
            result = _compare(subject, model, result)
            if timed and result.status in (EQUAL, ACCURATE):
                enter("latency")
                result = _time(subject, model, result)
            if result.status in (EQUAL, ACCURATE):
                result = replace(result, stage="")
        except KernelCompileError as error:
            result = replace(result, reason=first_line(error))
        except ModuleNotFoundError as error:
            result = replace(result, reason=f"{error}: make zoo-env installs the zoo's libraries")
        except UserError as error:
            result = replace(result, status=REFUSED, reason=_refusal(error))
        except Exception as error:  # noqa: BLE001 - whatever a model raises becomes its row
            result = replace(result, reason=f"{type(error).__name__}: {first_line(error)}")
    stop_workers()
    memory, worker_memory = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return replace(result, seconds=time.perf_counter() - began, memory=memory, worker_memory=worker_memory)


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor.clone()


def _make(entry: Entry) -> _Subject:
    torch.manual_seed(0)
    module, args, kwargs = entry.make()
    subject = _Subject(module.eval(), tuple(args), dict(kwargs))

    randomize(module, subject.run)
    subject.expected = subject.run()
    return subject


def _is_as_accurate(far: tuple[float, float], most: float) -> bool:
    """Whether ours, the second distance from float64's result, is about eager's, and that a matter of rounding."""
    return far[0] <= most and far[1] <= AS_ACCURATE * far[0]


def _convert(subject: _Subject, result: Result, folder: Path) -> tuple[Result, Path]:
    converter = Torch2GraphConverter()
    began = time.perf_counter()
    with _seconds_of(exporting, "export") as exported:
        graph = converter.convert(
            model=subject.module, fake_torch_data=list(subject.args), fake_torch_kwargs=subject.kwargs
        )
    whole = time.perf_counter() - began
    stored = folder / "model.gpickle"
    converter.export_to_gpickle(stored, graph)
    ops = sum(1 for _, data in graph.nodes(data="data") if data["kind"] == "OpNode")
    counts = replace(result, nodes=graph.number_of_nodes(), ops=ops)
    return replace(counts, export_s=sum(exported), convert_s=whole - sum(exported)), stored


@contextmanager
def _seconds_of(module: Any, name: str) -> Iterator[list[float]]:
    """Time the calls of a module's function while the block runs."""
    function, times = getattr(module, name), []

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            times.append(time.perf_counter() - began)

    setattr(module, name, timed)
    try:
        yield times
    finally:
        setattr(module, name, function)


def _compile(result: Result, stored: Path, folder: Path, workers: int) -> tuple[Result, str]:
    table = folder / "map.json"
    Torch2GraphConverter.get_onedevice_allocator(table, "X64", stored)
    began = time.perf_counter()
    made = Manager().optimize(
        "model", [DeviceEnum.DEVICE_KIND_X64], stored, folder, table,
        workers=workers, progress=False, use_cache=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    report = made.report
    counts = replace(result, kernels=report.kernels_compiled, calls=report.kernel_calls, compile_s=seconds)
    return counts, str(made.path)


def _compare(subject: _Subject, model: rt.Model, result: Result) -> Result:
    for index, output in enumerate(subject.expected):
        if output.is_floating_point() and not bool((output.isfinite() & (output != 0)).any()):
            reason = f"output {index} of eager is zero or not finite throughout, so that nothing would be compared"
            return replace(result, status=NOT_RUN, reason=reason)
    tolerance = tolerance_of(subject.dtypes, result.calls)
    outputs = model.run_flat(model.flatten_inputs(subject.args, subject.kwargs))
    faults, near, errors = [], [], [0.0]
    if len(outputs) != len(subject.expected):
        faults.append(f"{len(outputs)} outputs for {len(subject.expected)}")
    for index, (want, got) in enumerate(zip(subject.expected, outputs, strict=False)):
        dtype = model.meta.outputs[index].dtype
        error, reason = difference(to_numpy(want), got, dtype, tolerance)
        errors.append(error)
        if not reason:
            continue
        scale = float(want.abs().max())
        far = None if subject.exact is None else distances(subject.exact[index], want, to_torch(got, dtype))
        if far is None or not _is_as_accurate(far, ILL_CONDITIONED * tolerance * scale):
            faults.append(f"output {index}: {reason}")
            continue
        theirs, ours = (distance / scale for distance in far)
        near.append(f"output {index}: {reason}; from float64's eager differs by {theirs:.1e}, Optima by {ours:.1e}")
    status = WRONG if faults else ACCURATE if near else EQUAL
    return replace(result, status=status, reason="; ".join(faults + near), error=max(errors), tolerance=tolerance)


def _time(subject: _Subject, model: rt.Model, result: Result) -> Result:
    """Medians of single runs, the two sides taking turns."""
    inputs = model.flatten_inputs(subject.args, subject.kwargs)

    def eager() -> None:
        with torch.inference_mode():
            subject.module(*subject.args, **subject.kwargs)

    sides: list[Callable[[], object]] = [lambda: model.run_flat(inputs), eager]
    times: list[list[float]] = [[], []]
    spent = 0.0
    while len(times[0]) < _FEWEST or (spent < 2 * _BUDGET_S and len(times[0]) < _MOST):
        for side, run in enumerate(sides):
            run()  # its own caches are warm, whoever ran before
            began = time.perf_counter()
            run()
            times[side].append(time.perf_counter() - began)
            spent += 2 * times[side][-1]
    return replace(result, ours=statistics.median(times[0]), eager=statistics.median(times[1]))


def _copies(tree: Any) -> Any:
    """Inputs of their own for eager, which may write into them."""
    return _pytree.tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, tree)


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says something, cut to a table's width."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    return next((line for line in lines if line), "no text")[:240]


def _refusal(error: UserError) -> str:
    """The problems of a typed error, each once, with how often it occurs."""
    counts: dict[str, int] = {}
    for problem in getattr(error, "problems", ()):
        text = " ".join(f"{problem.subject}: {problem.reason}".split())
        counts[text] = counts.get(text, 0) + 1
    if not counts:
        return f"{type(error).__name__}: {first_line(error)}"
    return "; ".join(f"{text} ({n} times)" if n > 1 else text for text, n in counts.items())[:400]
