"""The contract of a backend: ``check``, ``plan``, ``link`` here; ``load`` in a file of its own.

The compile half (``Backend``) and the run half (``Executable``) of a backend never meet except through the
files of the artifact. Registered by name -> thunk in ``optima/backends/__init__.py`` and by the entry-point
group ``optima.backends``; adding one touches no core file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from devices import DeviceRef
from optima.graph import Graph, TensorType
from optima.ops.entry import Answer


@dataclass(frozen=True)
class CompileOptions:
    """What the caller may choose, the same for every backend. Part of each cache key where bytes depend on it.

    ``target_cpu``: an LLVM CPU name (``"x86-64-v3"``), or "" for the compiling machine's CPU.
    ``workers``: compile processes; 0 means one per core that this process may use. Never part of a key.
    ``strict``: an artifact that is not the real device's own is an error. ``dump_dir``: where a backend writes
    the text form after each of its passes, "" for nowhere. Never part of a key. ``device_options``: a kind's word
    -> what its backend understands, which the backend checks.
    """

    target_cpu: str = ""
    workers: int = 0
    strict: bool = False
    dump_dir: str = ""
    device_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One unit of compilation: picklable and pure. ``run(payload)`` in a fresh process gives the bytes.

    ``key`` (hex sha256) covers all that the bytes depend on: jobs with equal keys are run once, and their
    results are cached under it. ``function`` is ``"package.module:name"``, imported where the job runs.
    ``preflight`` is another, or "": called once in this process before any job that names it runs, it raises
    what the user has to install. ``label`` is what the progress bar and errors call it, ``ops`` the op names that
    it implements, ``where`` and ``code`` the user's Python line of the first of them.
    """

    key: str
    function: str
    payload: Any
    label: str
    ops: tuple[str, ...] = ()
    where: str = ""
    code: str = ""
    preflight: str = ""


@dataclass(frozen=True)
class Constant:
    """One entry of ``weights.safetensors``: a constant as a kernel consumes it.

    ``array`` is dense; ``dtype`` its logical dtype (bfloat16 arrays are uint16 bits); ``recipe`` says how it
    comes from PyTorch's parameters (``optima.recipe``) or that it is frozen.
    """

    name: str
    array: np.ndarray[Any, Any]
    dtype: str
    recipe: Any

    @cached_property
    def key(self) -> str:
        """The entry's name in ``weights.safetensors``: the first 32 hex digits of sha256 over dtype, shape, bytes."""
        head = f"{self.dtype}|{','.join(map(str, self.array.shape))}|".encode()
        return hashlib.sha256(head + np.ascontiguousarray(self.array).tobytes()).hexdigest()[:32]


@dataclass(frozen=True)
class SubgraphArtifact:
    """What ``link`` returns: files by name (relative to the subgraph's folder), its meta, and its constants.

    ``meta`` is JSON-able and becomes ``<subgraph>.meta``; ``load`` gets it back. ``produced_by`` says which
    tool made the files (name -> version), ``executed_on`` where such an artifact was run, "" if nowhere.
    """

    files: Mapping[str, bytes]
    meta: Mapping[str, Any]
    constants: Sequence[Constant] = ()
    produced_by: Mapping[str, str] = field(default_factory=dict)
    executed_on: str = ""


def why_not_a_path(path: str) -> str:
    """Why ``path`` cannot name a file under an artifact's root; "" when it can.

    A path has parts between single ``/``, none of them empty, ``.`` or ``..``, and no backslash or control
    character, so that it means the same on every system and never leaves the root.
    """
    if not path or len(path.encode(errors="surrogatepass")) > 1024:
        return "is empty or too long"
    if path.startswith("/"):
        return "is absolute"
    if "\\" in path or not path.isprintable():
        return "holds a backslash or a control character"
    if any(part in ("", ".", "..") for part in path.split("/")):
        return "has an empty, '.' or '..' part"
    return ""


class Backend(Protocol):
    """The compile half. ``subgraph`` is the extracted graph of one part; its inputs and outputs are borders.

    A backend may have an attribute ``kinds``, a collection of DeviceEnum: it is asked about devices of these alone.

    ``calibration`` (``optima.calibration.Calibration``) gives representative data at a border, for those that
    quantise.
    """

    name: str

    def check(
        self, graph: Graph, op_names: Sequence[str], device: DeviceRef, options: CompileOptions
    ) -> Mapping[str, Answer]:
        """An answer for each op of ``op_names``: Yes, or No with the reason. Sees the whole graph."""

    def resolve(self, device: DeviceRef, options: CompileOptions) -> Mapping[str, Any]:
        """The resolved target as recorded in ``model.meta`` (triple, cpu, features, ...)."""

    def plan(self, subgraph: Graph, device: DeviceRef, options: CompileOptions, calibration: Any) -> Sequence[Job]:
        """The compile jobs of a subgraph, in a deterministic order."""

    def link(
        self,
        subgraph: Graph,
        device: DeviceRef,
        options: CompileOptions,
        results: Mapping[str, bytes],
    ) -> SubgraphArtifact:
        """Put the jobs' results (by key) together. Called after every job of the subgraph is done."""


@dataclass(frozen=True)
class SubgraphView:
    """What ``load`` gets: bytes whose hashes were checked, the meta, named constants (64-byte aligned).

    ``types``: of the inputs and outputs, as ``model.meta`` states them and their buffers will be. The meta and the
    files are to be checked against them: all hashes may be right in a folder that was put together of two.
    """

    name: str
    meta: Mapping[str, Any]
    files: Mapping[str, bytes]
    constants: Mapping[str, np.ndarray[Any, Any]]
    inputs: Sequence[str]
    outputs: Sequence[str]
    types: Mapping[str, TensorType]


@dataclass(frozen=True)
class LoadEnv:
    """The process's worker pool (threads it may use), whether fallback is allowed, and a logger.

    ``present``: the device is here. Where it is not, fallback is allowed, and ``load`` gives the simulator.
    """

    threads: int
    fallback: bool
    log: Any
    present: bool = True


class Invocation(Protocol):
    """One request's private state over an Executable: buffers bound, scratch of its own."""

    def run(self) -> None:
        """Read the bound input buffers, write the bound output buffers."""

    def trace(self) -> dict[str, np.ndarray[Any, Any]]:
        """Run step by step; every tensor (by graph name, logical form) that exists between steps."""

    def timings(self) -> Sequence[tuple[str, float]]:
        """(kernel, microseconds) for each call of the last ``run``, in order; () where a backend has none."""


@runtime_checkable
class Copying(Protocol):
    """An Invocation over a memory of its own, which says what copying borders took."""

    def copies_us(self) -> Mapping[str, float]:
        """Microseconds of the last ``run`` for each border that was copied in or out; {} where there is no clock."""


class Executable(Protocol):
    """The run half: a loaded subgraph, shared by all requests.

    One that stands in for an absent device has an attribute ``runs_on``: what computes instead, in words, for
    ``Model.subgraph_info``.
    """

    def bind(self, borders: Mapping[str, np.ndarray[Any, Any]]) -> Invocation:
        """Bind border buffers: dense, 64-byte aligned arrays by tensor name, inputs and outputs alike."""
