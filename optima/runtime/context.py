"""``Context``: where a program that runs models starts."""

from __future__ import annotations

import importlib
import itertools
import logging
import os
from importlib.metadata import EntryPoint
from types import ModuleType
from weakref import finalize

from devices import DeviceRef, UserError
from optima.arguments import check_options
from optima.artifact.reader import read_model
from optima.backends import Load
from optima.native import Pool
from optima.runtime.enums import LogLevel
from optima.runtime.errors import ExtensionError
from optima.runtime.loading import load_artifact
from optima.runtime.model import Model
from optima.runtime.presence import available_devices
from optima.version import __version__

_numbers = itertools.count()


class Context:
    """Loads models. Contexts differ in their log and extensions; the worker pool is one per process.

    ``verbosity``: what is logged, through ``logging`` under ``optima.runtime``. ``log_path``: a file that
    gets the log as well. ``threads``: cores that parallel loops may use, for the whole process; None leaves
    it as it is, at first all that the process may use. Raises UserError when the log file cannot be opened,
    OptionError for arguments of another type.
    """

    def __init__(
        self,
        verbosity: LogLevel = LogLevel.WARNING,
        log_path: str | os.PathLike[str] | None = None,
        *,
        threads: int | None = None,
    ) -> None:
        check_options("Context", log_path=log_path, threads=threads)
        self._log = logging.getLogger(f"optima.runtime.{next(_numbers)}")
        try:
            self._log.setLevel(LogLevel(verbosity))
        except ValueError:
            levels = ", ".join(f"LogLevel.{level.name}" for level in LogLevel)
            raise UserError(f"{verbosity!r} is no log level", hint=f"use one of {levels}") from None
        if log_path is not None:
            self._add_file(log_path)
        self._extensions: dict[str, Load] = {}
        if threads is not None:
            Pool().threads = threads

    def _add_file(self, path: str | os.PathLike[str]) -> None:
        try:
            handler = logging.FileHandler(os.path.expanduser(path), encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"the log file {os.fspath(path)!r} cannot be opened: {error.strerror}",
                hint="choose another log_path",
            ) from error
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._log.addHandler(handler)
        finalize(self._log, handler.close)

    @property
    def version(self) -> str:
        """Optima's version."""
        return __version__

    @property
    def available_devices(self) -> tuple[DeviceRef, ...]:
        """One instance of each kind of device that is here; of a CPU kind every index may be used."""
        return available_devices()

    def load_model(
        self,
        path: str | os.PathLike[str],
        fallback: bool = False,
        digest: str | None = None,
        *,
        simulate: bool = False,
    ) -> Model:
        """Load the folder that ``optimize`` wrote. Every byte is verified before any code is opened.

        ``fallback``: subgraphs whose devices are absent run on their backend's simulator instead, or on the CPU by the
        form stored for it; which did is logged and in ``subgraph_info``. ``simulate``: the first choice of each list
        runs, on its simulator where it is absent, although another device of the list is here: for trying a board's
        folder elsewhere. ``digest``: the sha256 (hex) that ``model.meta`` must have. Raises OptionError,
        ArtifactError, DeviceAbsent, WrongCpu, UnknownBackend, and what a backend's loader raises.
        """
        # A digest in fallback's place must not pass for True, and be compared with nothing.
        check_options("Context.load_model", path=path, fallback=fallback, digest=digest, simulate=simulate)
        artifact = read_model(path, digest)
        loaded = load_artifact(artifact, self._extensions, fallback, self._log, simulate=simulate)
        self._log.info("loaded %s from %s", artifact.meta.name, artifact.path)
        return Model(loaded, artifact.digest, self._log)

    def load_extension(self, extension: str | ModuleType | EntryPoint) -> str:
        """Add a backend's run half to this context; gives the backend's name.

        ``extension``: a module, or its dotted name, with ``NAME`` (the backend's name in ``model.meta``) and
        ``load(view, device, env)``; or an entry point whose value is such a module. Raises ExtensionError.
        """
        module, name = _module_of(extension)
        load = getattr(module, "load", None)
        name = name or str(getattr(module, "NAME", ""))
        if not name or not callable(load):
            raise ExtensionError(
                f"{getattr(module, '__name__', extension)!r} is not a backend's run half",
                hint='it needs NAME = "<backend>" and a function load(view, device, env)',
            )
        self._extensions[name] = load
        return name


def _module_of(extension: str | ModuleType | EntryPoint) -> tuple[object, str]:
    try:
        if isinstance(extension, EntryPoint):
            return extension.load(), extension.name
        return (importlib.import_module(extension) if isinstance(extension, str) else extension), ""
    # An extension runs its own code when it is imported, and may raise anything.
    except Exception as error:
        raise ExtensionError(
            f"the extension {extension!r} cannot be imported: {error}", hint="is its package installed?"
        ) from error
