"""The ``optima`` command: compile, check, inspect, dump, template, toolchains. The only place that prints."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console

from devices import DeviceEnum, DeviceRef, OptimaError, Problem, UserError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Compile one model for several devices.")
console = Console(soft_wrap=True, highlight=False)


#: keys of a job that ``optimize`` and ``check`` both take
_CHECKED = ("target_cpu", "backends", "device_options", "strict_targets", "cpu_fallback")


class JobError(UserError):
    """A compile job file that cannot be read. All its faults are listed.

    Example: ``devices = "X64"``. Fix: ``devices = ["X64"]``.
    """


class CompileJob(BaseModel):
    """A compile job file (TOML): what ``Manager.optimize`` takes. Paths are relative to the file.

    ``samples`` is an ``.npz`` of one array per argument of the module, by its name: ``array[k]`` is that argument of
    the k-th sample.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    devices: list[DeviceEnum]
    graph: Path
    map: Path
    output: Path = Path("outputs")
    samples: Path | None = None
    target_cpu: str = ""
    backends: dict[str, str] = {}
    device_options: dict[str, dict[str, Any]] = {}
    strict_targets: bool = False
    cpu_fallback: bool = True

    @classmethod
    def read(cls, path: Path) -> CompileJob:
        """Parse and check a job file. Raises JobError."""
        try:
            job = cls.model_validate(tomllib.loads(path.read_text()))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise JobError(
                f"{path} cannot be read: {error}", hint="configs/sample.toml is a job to start from"
            ) from error
        except ValidationError as error:
            problems = [Problem(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
            raise JobError(f"{path} is not a compile job", problems=problems) from error
        base = path.parent
        for key in ("graph", "map", "output", "samples"):
            if getattr(job, key) is not None:
                setattr(job, key, base / os.path.expanduser(getattr(job, key)))
        return job

    @property
    def checked_options(self) -> dict[str, Any]:
        """What ``optimize`` and ``check`` both take."""
        return {key: getattr(self, key) for key in _CHECKED}


@app.command()
def compile(job: Annotated[Path, typer.Argument(help="a compile job, such as configs/sample.toml")]) -> None:
    """Compile what a job file names."""
    from optima.manager import Manager
    from optima.samples import read_samples

    read = CompileJob.read(job)
    samples = read_samples(read.samples) if read.samples else None
    compiled = Manager().optimize(
        read.name, read.devices, read.graph, read.output, read.map, samples,
        **read.checked_options,
    )  # fmt: skip
    console.print(str(compiled), markup=False)


@app.command()
def check(job: Annotated[Path, typer.Argument(help="a compile job")]) -> None:
    """Say what is refused before compiling, and show the split. Compiles nothing."""
    from optima.artifact.writer import check_target
    from optima.manager import check as check_job
    from optima.samples import read_samples

    read = CompileJob.read(job)
    check_target(read.output, read.name)
    samples = read_samples(read.samples) if read.samples else None
    split = check_job(read.devices, read.graph, read.map, sample_inputs=samples, **read.checked_options)
    for part in split.subgraphs:
        devices = ", ".join(map(str, part.devices))
        console.print(f"{part.name}  {devices}  {len(part.graph.ops)} ops", markup=False)


@app.command()
def inspect(folder: Annotated[Path, typer.Argument(help="a compiled model's folder")]) -> None:
    """Verify a model folder's hashes and show what it holds."""
    from optima.artifact.reader import read_model

    artifact = read_model(folder)
    meta = artifact.meta
    console.print(f"{meta.name}: format {meta.format_version}, kernel ABI {meta.kernel_abi}", markup=False)
    for kind, tensors in (("input", meta.inputs), ("output", meta.outputs)):
        for t in tensors:
            console.print(f"{kind}  {t.label or t.name}  {t.dtype}{list(t.shape)} {t.layout}", markup=False)
    for s in meta.symbols:
        places = ", ".join(f"{name} axis {axis}" for name, axis in s.axes)
        console.print(f"size  {s.name}  {s.min} to {s.max}, as {s.count.name} counts: {places}", markup=False)
    for index, part in enumerate(meta.subgraphs):
        forms = dict.fromkeys(form.backend for form in (part, *part.alternatives))
        console.print(f"{part.name}  {', '.join(part.devices)}  {', '.join(forms)}  {len(part.ops)} ops", markup=False)
        for form in (part, *part.alternatives):
            if artifact.subgraph_view(index, form).meta.get("compiled_for_device") is False:
                console.print(f"  {form.folder} is a stand-in, not the device's own file", markup=False)
        if part.fallback:
            console.print(f"  beside it, for fallback=True: {part.fallback.devices[0]}", markup=False)
    console.print(f"{len(meta.files)} files, {meta.weight_bytes} bytes of weights", markup=False)


@app.command()
def dump(graph: Annotated[Path, typer.Argument(help="a .gpickle")]) -> None:
    """Print a graph file's text form."""
    from optima.graph_io import load_graph

    console.print(load_graph(graph).dump(), markup=False, end="")


@app.command()
def template(
    graph: Annotated[Path, typer.Argument(help="a .gpickle")],
    device: Annotated[str, typer.Argument(help='such as "X64:0"')],
    map_path: Annotated[Path, typer.Argument(help="the map to write")],
) -> None:
    """Write a map that gives every op to one device."""
    from optima.graph_io import load_graph
    from torch2nx.allocation_template import write_template

    ref = DeviceRef.parse(device)
    ops = load_graph(graph).ops
    write_template(map_path, str(ref), graph)
    console.print(f"{map_path}: {len(ops)} ops on {ref}", markup=False)


@app.command()
def toolchains() -> None:
    """Show what this machine has to compile for each kind of device, and what is missing."""
    from optima.installed import toolchains as found

    for chain in found().values():
        console.print(str(chain), markup=False)


@app.command()
def support() -> None:
    """Print the support matrix of docs/support.md."""
    from optima.ops.support import support_table

    typer.echo(support_table(), nl=False)


def main() -> None:
    """The console script: an OptimaError becomes its text and exit status 1."""
    try:
        app()
    except OptimaError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"{type(error).__name__}: {error}", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
