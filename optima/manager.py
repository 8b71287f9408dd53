"""The whole job, step by step. Read ``Manager.optimize`` first: each line is one room of the house."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devices import DeviceEnum, DeviceRef, UserError
from optima.allocation import allocate, read_map
from optima.arguments import check_options
from optima.artifact.writer import check_target, write_model
from optima.backends.base import CompileOptions, Job
from optima.calibration import Calibration
from optima.forms import plan_forms
from optima.graph import Graph
from optima.graph_io import load_graph
from optima.jobs import Cache, JobResults, run_jobs
from optima.ops.entry import Answer
from optima.packaging import LinkedSubgraph, package
from optima.partition import Split, assign, partition
from optima.passes.fold_constants import fold_constants
from optima.report import Report
from optima.routing import Router
from optima.samples import check_samples, torch_device

if TYPE_CHECKING:
    import torch
    from networkx import DiGraph


_LOG = logging.getLogger("optima")


@dataclass(frozen=True)
class CompiledModel:
    """A finished model folder: where it lies and what making it took."""

    path: Path
    report: Report

    def __str__(self) -> str:
        return f"{self.path}\n{self.report}"


class Manager:
    """The entry point of the compile half. It keeps no state between calls."""

    def optimize(
        self,
        module_name: str,
        device_info: Sequence[DeviceEnum],
        model_graph_or_gpickle: str | Path | DiGraph,
        output_folder_dir: str | Path,
        device_alloc_per_kernel_json_dir: str | Path,
        sample_inputs: Sequence[tuple[torch.Tensor, ...] | Mapping[str, torch.Tensor]] | None = None,
        need_gpu: bool = False,
        *,
        target_cpu: str = "",
        backends: Mapping[str, str] | None = None,
        device_options: Mapping[str, Mapping[str, Any]] | None = None,
        strict_targets: bool = False,
        cpu_fallback: bool = True,
        workers: int = 0,
        progress: bool | None = None,
        use_cache: bool = True,
        wait_for_lock: bool = True,
        dump_dir: str | Path | None = None,
    ) -> CompiledModel:
        """Compile a traced model for the devices its map names, into ``<output_folder_dir>/<module_name>/``.

        ``model_graph_or_gpickle``: the path of a ``.gpickle``, or the graph itself. ``device_info``: the kinds
        that the map may use. ``device_alloc_per_kernel_json_dir``: the map's path. ``sample_inputs``: tuples of
        what the module takes, or dicts of its keywords, needed by devices that quantise. ``need_gpu``: the model is
        run on them by a CUDA device where there is one, for float16 operators that PyTorch's CPU lacks
        (docs/float16.md).
        ``target_cpu``: an LLVM CPU name for X64 (``"x86-64-v3"``), "" for this machine's. ``backends``: another
        backend for a kind, such as ``{"X64": "reference"}``. ``device_options``: what a kind's backend understands
        (docs/devices.md), such as ``{"MYRIAD": {"shaves": 8}}``. ``strict_targets``: refuse an artifact that is not
        the device's own instead of labelling it. ``cpu_fallback``: compile subgraphs without a CPU in their list for
        the CPU as well, for ``load_model(path, fallback=True)``. ``workers``: compile processes, 0 for one per core.
        ``progress``: a progress bar, None for "on a terminal". ``wait_for_lock``: wait for another compile into
        the same folder instead of refusing. ``dump_dir``: also write the graph's text form after each pass there,
        ``<subgraph>/03_fold_batchnorm.txt``, of further forms under ``alternative_1`` and ``fallback``.

        Everything that can be refused is refused before the first compile, all problems in one error; the
        previous model folder is whole until the new one replaces it. Raises subclasses of OptimaError.
        """
        check_options(
            output_folder_dir=output_folder_dir,
            device_alloc_per_kernel_json_dir=device_alloc_per_kernel_json_dir,
            target_cpu=target_cpu,
            workers=workers,
            backends=backends,
            device_options=device_options,
            strict_targets=strict_targets,
            cpu_fallback=cpu_fallback,
            need_gpu=need_gpu,
            dump_dir=dump_dir,
            progress=progress,
            use_cache=use_cache,
            wait_for_lock=wait_for_lock,
        )
        report = Report()
        options = CompileOptions(
            target_cpu, workers, strict_targets, _dump_folder(dump_dir), dict(device_options or {})
        )
        target = check_target(output_folder_dir, module_name, wait=wait_for_lock)
        with report.phase("read"):
            traced = load_graph(model_graph_or_gpickle)
            check_samples(traced, sample_inputs)
        with report.phase("fold"):
            graph, folded = fold_constants(traced)
        with report.phase("split"):
            router = Router(backends or {}, options)
            split = _split(traced, graph, device_info, device_alloc_per_kernel_json_dir, router)
        with report.phase("plan"):
            calibration = Calibration(graph, sample_inputs, torch_device(need_gpu))
            plans = plan_forms(split, router, calibration, device_info, cpu_fallback)
            jobs = [job for plan in plans for job in plan.jobs]
        with report.phase("compile"):
            results = run_jobs(jobs, workers=workers, cache=Cache.default() if use_cache else None, progress=progress)
        with report.phase("link"):
            linked = [plan.link(router, results.results) for plan in plans]
            made = package(module_name, traced, graph, split, linked, folded)
        _fill(report, jobs, results, split, linked, folded)
        _tell_stand_ins(linked)
        with report.phase("write"):
            path = write_model(target, made.meta, made.files, report.to_json, wait=wait_for_lock)
        return CompiledModel(path, report)


def _dump_folder(folder: str | Path | None) -> str:
    """The folder for dumps, made; "" for none."""
    if not folder:
        return ""
    path = Path(os.path.expanduser(folder))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"dump_dir {path} cannot be made: {error.strerror}", hint="choose another folder") from error
    return str(path)


def check(
    device_info: Sequence[DeviceEnum],
    model_graph_or_gpickle: str | Path | DiGraph,
    device_alloc_per_kernel_json_dir: str | Path,
    *,
    target_cpu: str = "",
    backends: Mapping[str, str] | None = None,
    device_options: Mapping[str, Mapping[str, Any]] | None = None,
    strict_targets: bool = False,
    cpu_fallback: bool = True,
    sample_inputs: Sequence[tuple[torch.Tensor, ...] | Mapping[str, torch.Tensor]] | None = None,
    need_gpu: bool = False,
) -> Split:
    """Everything that ``optimize`` refuses before it compiles: raises the same errors.

    What eight bits leave of a subgraph shows when it is quantised, which is a part of compiling.
    The arguments are those of ``optimize``: without ``sample_inputs`` a map to a device that quantises is refused.
    Returns the split that ``optimize`` would compile; print it for the placement table.
    """
    check_options(
        device_alloc_per_kernel_json_dir=device_alloc_per_kernel_json_dir,
        target_cpu=target_cpu,
        backends=backends,
        device_options=device_options,
        strict_targets=strict_targets,
        cpu_fallback=cpu_fallback,
        need_gpu=need_gpu,
    )
    traced = load_graph(model_graph_or_gpickle)
    check_samples(traced, sample_inputs)
    graph, _ = fold_constants(traced)
    options = CompileOptions(target_cpu, strict=strict_targets, device_options=dict(device_options or {}))
    router = Router(backends or {}, options)
    split = _split(traced, graph, device_info, device_alloc_per_kernel_json_dir, router)
    calibration = Calibration(graph, sample_inputs, torch_device(need_gpu))
    plan_forms(split, router, calibration, device_info, cpu_fallback)
    return split


def _split(
    traced: Graph, graph: Graph, device_info: Sequence[DeviceEnum], map_path: str | Path, router: Router
) -> Split:
    """The map is checked against the traced graph (folded ops keep their entry), the split made of what is left."""
    live = set(graph.op_by_name)

    def answers(names: Sequence[str], device: DeviceRef) -> Mapping[str, Answer]:
        return router.check(graph, [n for n in names if n in live], device)

    allocation = allocate(traced, read_map(map_path), device_info, answers, router.backend_name)
    return partition(assign(graph, allocation))


def _fill(
    report: Report,
    jobs: Sequence[Job],
    results: JobResults,
    split: Split,
    linked: Sequence[LinkedSubgraph],
    folded: Sequence[str],
) -> None:
    report.subgraphs = len(split.subgraphs)
    report.transfers = len(split.transfers)
    report.kernel_calls = sum(len(item.first.artifact.meta.get("calls", ())) for item in linked)
    report.kernels_compiled = results.compiled
    report.kernels_from_cache = results.cached
    report.folded = tuple(folded)
    report.placement = tuple(
        (s.subgraph.name, ", ".join(map(str, s.subgraph.devices)), _backends(s), len(s.subgraph.graph.ops))
        for s in linked
    )


def _tell_stand_ins(linked: Sequence[LinkedSubgraph]) -> None:
    for item in linked:
        for form in (item.first, *item.alternatives):
            meta = form.artifact.meta
            if meta.get("compiled_for_device") is False:
                what = f"{item.subgraph.name} for {', '.join(map(str, form.devices))}"
                command = meta.get("next_command") or "see docs/devices.md"
                first = command if isinstance(command, str) else command[0]
                _LOG.warning("%s is a stand-in, not the device's own file; for that: %s", what, first)


def _backends(linked: LinkedSubgraph) -> str:
    """The backends of the preference list's forms, in its order."""
    return ", ".join(dict.fromkeys(form.backend for form in (linked.first, *linked.alternatives)))
