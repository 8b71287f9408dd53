"""The user's own command for a vendor's compiler, with placeholders for the files of the bundle."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from devices import DeviceEnum, UserError

#: what a template may name: files of the bundle, and an empty folder for what the compiler writes
PLACEHOLDERS = ("onnx", "qdq", "calib_dir", "input_list", "out")


class CommandTemplateError(UserError):
    """``OPTIMA_CV22_COMPILE_CMD`` or ``OPTIMA_ARA1_COMPILE_CMD`` is no command that can be run.

    Example: ``OPTIMA_CV22_COMPILE_CMD="cvcompile {model}"``.
    Fix: ``"cvcompile {onnx} --calibration {input_list} -o {out}"``: use the placeholders that the hint lists.
    """


def variable_of(kind: DeviceEnum) -> str:
    """The environment variable of a kind.

    >>> variable_of(DeviceEnum.DEVICE_KIND_CV22)
    'OPTIMA_CV22_COMPILE_CMD'
    """
    return f"OPTIMA_{kind.value}_COMPILE_CMD"


def parse_template(kind: DeviceEnum, text: str) -> tuple[str, ...]:
    """The words of a command line, quoted as in a shell, which does not run it. Raises CommandTemplateError."""
    variable = variable_of(kind)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise CommandTemplateError(f"{variable} cannot be read: {error}", hint=f"it is {text!r}") from error
    used = {name for word in words for name in re.findall(r"\{(\w*)\}", word)}
    unknown = sorted(used - set(PLACEHOLDERS))
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    if unknown:
        raise CommandTemplateError(
            f"{variable} has placeholders that do not exist: {', '.join(f'{{{n}}}' for n in unknown)}",
            hint=f"use {known}",
        )
    if "out" not in used or not used & {"onnx", "qdq"}:
        raise CommandTemplateError(
            f"{variable} must name {{out}}, the folder to write into, and {{onnx}} or {{qdq}}, a model",
            hint=f"it is {text!r}; it may use {known}",
        )
    program = shutil.which(words[0])
    if program is None:
        raise CommandTemplateError(
            f"{variable} names {words[0]!r}, which is no program here", hint=f"correct it, or unset it; it is {text!r}"
        )
    # The command runs in another folder: a program named relative to this one would not be found there.
    return (os.path.abspath(program), *words[1:])


def filled(words: tuple[str, ...], paths: Mapping[str, Path]) -> list[str]:
    """The argv: each placeholder as a path."""
    return [re.sub(r"\{(\w+)\}", lambda m: str(paths[m[1]]), word) for word in words]


def identity(words: tuple[str, ...]) -> str:
    """The template with sha256 (hex) over the files that it names: what keys know of the compiler's version."""
    digest = hashlib.sha256()
    for word in words:
        if os.path.isfile(word):
            digest.update(Path(word).read_bytes())
    return f"{shlex.join(words)} sha256:{digest.hexdigest()[:32]}"
