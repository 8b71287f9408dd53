"""The plain arguments of what users call: wrong types and values, all of them in one error."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Iterator, Mapping
from typing import Any

from devices import DeviceEnum, Problem, UserError


class OptionError(UserError):
    """Arguments of ``optimize``, ``verify`` or ``load_model`` of the wrong type or value. All of them are listed.

    Example: ``optimize(..., workers=-1)``. Fix: ``workers=0``, which takes one process per core.
    """


def check_options(called: str = "Manager.optimize", **given: Any) -> None:
    """Check what the caller of ``called`` passed, by argument name. Raises OptionError."""
    problems = [problem for name, value in given.items() for problem in _CHECKS[name](name, value)]
    if problems:
        count = "one argument" if len(problems) == 1 else f"{len(problems)} arguments"
        raise OptionError(f"{count} cannot be used", problems=problems, hint=f"see the documentation of {called}")


def _text(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem(name, f"is a {type(value).__name__}; give text")


def _path(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        yield Problem(name, f"is {value!r:.40}; give a path")
    elif "\0" in os.fsdecode(value):
        yield Problem(name, f"is {value!r:.40}; a path holds no NUL")


def _optional_path(name: str, value: Any) -> Iterator[Problem]:
    if value is not None:
        yield from _path(name, value)


def _optional_text(name: str, value: Any) -> Iterator[Problem]:
    if value is not None:
        yield from _text(name, value)


def _optional_flag(name: str, value: Any) -> Iterator[Problem]:
    if value is not None:
        yield from _flag(name, value)


def _threads(name: str, value: Any) -> Iterator[Problem]:
    if value is not None and type(value) is not int:
        yield Problem(name, f"is {value!r:.40}; give a count of threads, None to leave it as it is")


def _samples(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, list | tuple):
        yield Problem(name, f"is a {type(value).__name__}; give a list of tuples of what module(*sample) takes")


def _tolerance(name: str, value: Any) -> Iterator[Problem]:
    if value is None:
        return
    # Nothing is greater than NaN or infinity: with such a tolerance every answer would count as equal.
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < math.inf:
        yield Problem(name, f"is {value!r:.40}; give a finite number from 0 up, None for the type's own")


def _workers(name: str, value: Any) -> Iterator[Problem]:
    if type(value) is not int or value < 0:
        yield Problem(name, f"is {value!r:.40}; give a count of processes, 0 for one per core")


def _flag(name: str, value: Any) -> Iterator[Problem]:
    if type(value) is not bool:
        yield Problem(name, f"is {value!r:.40}; give True or False")


def _backends(name: str, value: Any) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield Problem(name, f"is a {type(value).__name__}; give a dict such as {{'X64': 'reference'}}")
        return
    kinds = [kind.value for kind in DeviceEnum]
    for kind, backend in value.items():
        if kind not in kinds:
            yield Problem(name, f"{kind!r:.40} is no kind of device; the kinds are {', '.join(kinds)}")
        if not isinstance(backend, str):
            yield Problem(name, f"the backend of {kind!r:.40} is a {type(backend).__name__}; give its name")


def _device_options(name: str, value: Any) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield Problem(name, f"is a {type(value).__name__}; give a dict such as {{'MYRIAD': {{'shaves': 8}}}}")
        return
    kinds = [kind.value for kind in DeviceEnum]
    for kind, options in value.items():
        if kind not in kinds:
            yield Problem(name, f"{kind!r:.40} is no kind of device; the kinds are {', '.join(kinds)}")
        if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
            yield Problem(name, f"the options of {kind!r:.40} are no dict of names to values")


_CHECKS = {
    "output_folder_dir": _path,
    "device_alloc_per_kernel_json_dir": _path,
    "target_cpu": _text,
    "workers": _workers,
    "backends": _backends,
    "device_options": _device_options,
    "strict_targets": _flag,
    "cpu_fallback": _flag,
    "need_gpu": _flag,
    "dump_dir": _optional_path,
    "progress": _optional_flag,
    "use_cache": _flag,
    "wait_for_lock": _flag,
    "path": _path,
    "digest": _optional_text,
    "fallback": _flag,
    "simulate": _flag,
    "log_path": _optional_path,
    "threads": _threads,
    "model_folder": _path,
    "samples": _samples,
    "tolerance": _tolerance,
}
