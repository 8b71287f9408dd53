"""``model.meta``'s bytes -> ``ModelMeta``, or an ArtifactError that says what to do."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from devices import Problem
from optima.artifact.errors import COMPILE_AGAIN, ArtifactError
from optima.artifact.manifest import FORMAT_VERSION, KERNEL_ABI, WEIGHTS, ModelMeta, SubgraphMeta
from optima.backends.base import why_not_a_path

_SHOWN = 20


def parse_meta(raw: bytes, path: Path) -> ModelMeta:
    """Parse and check a manifest; ``path`` is for messages. Raises ArtifactError with every problem found."""
    _check_versions(_object(raw, path), path)
    try:
        meta = ModelMeta.model_validate_json(raw, strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        problems = [Problem(".".join(map(str, f["loc"])) or "model.meta", f["msg"]) for f in faults[:_SHOWN]]
        raise ArtifactError(f"{path} breaks its format", problems=problems, hint=COMPILE_AGAIN) from None
    problems = _inconsistencies(meta)
    if problems:
        raise ArtifactError(f"{path} contradicts itself", problems=problems[:_SHOWN], hint=COMPILE_AGAIN)
    return meta


def _object(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is cut off or not JSON: {error}", hint=COMPILE_AGAIN) from None
    if not isinstance(value, dict) or type(value.get("format_version")) is not int:
        raise ArtifactError(f"{path} is not a manifest of Optima's: no format_version", hint=COMPILE_AGAIN)
    return value


def _check_versions(value: dict[str, Any], path: Path) -> None:
    version = value["format_version"]
    toolchain = value.get("toolchain")
    maker = toolchain.get("optima") if isinstance(toolchain, dict) else None
    known = isinstance(maker, str) and re.fullmatch(r"[0-9A-Za-z.+!-]{1,40}", maker)
    install = f"install Optima {maker} or newer" if known else "install a newer Optima"
    if version > FORMAT_VERSION:
        raise ArtifactError(
            f"{path} has format version {version}, and this Optima reads up to {FORMAT_VERSION}", hint=install
        )
    if version < 1:
        raise ArtifactError(f"{path} has format version {version}, which never was", hint=COMPILE_AGAIN)
    abi = value.get("kernel_abi")
    if type(abi) is int and abi != KERNEL_ABI:
        raise ArtifactError(
            f"{path} holds kernels of ABI {abi}, and this Optima calls ABI {KERNEL_ABI}",
            hint=install if abi > KERNEL_ABI else "compile the model again with this Optima",
        )


def _inconsistencies(meta: ModelMeta) -> list[Problem]:
    """Rules across keys: names are unique, every path stays in the folder, every subgraph has its meta."""
    paths = {file.path for file in meta.files}
    names = {part.name for part in meta.subgraphs}
    problems = [
        *_repeated("files", (file.path for file in meta.files)),
        *_repeated("subgraphs", (part.name for part in meta.subgraphs)),
        *_repeated("subgraphs", (form.folder for part in meta.subgraphs for form in part.forms)),
        *_repeated("inputs", (tensor.name for tensor in meta.inputs)),
        *_repeated("borders", (tensor.name for tensor in meta.borders)),
    ]
    problems += [problem for part in meta.subgraphs for problem in _form_problems(part, paths)]
    problems += [
        Problem(transfer.tensor, f"is transferred to or from {end!r}, which is no subgraph")
        for transfer in meta.transfers
        for end in (transfer.source, transfer.target)
        if end not in names
    ]
    problems += _symbol_problems(meta)
    if meta.constants and WEIGHTS not in paths:
        problems.append(Problem("constants", f"{WEIGHTS} is not listed in files"))
    return problems


def _form_problems(part: SubgraphMeta, paths: Container[str]) -> Iterator[Problem]:
    """Every form has a folder of its own with its meta in it, and serves devices, an alternative some of the list's."""
    for form in part.forms:
        if why_not_a_path(form.folder):
            yield Problem(part.name, f"folder {form.folder!r} {why_not_a_path(form.folder)}")
        elif form.meta_path not in paths:
            yield Problem(part.name, f"its {form.meta_path} is not listed in files")
        if not form.devices:
            yield Problem(part.name, "has no device")
    for form in part.alternatives:
        strange = [device for device in form.devices if device not in part.devices]
        if strange:
            yield Problem(part.name, f"{form.folder} is for {', '.join(strange)}, which its list does not hold")


def _symbol_problems(meta: ModelMeta) -> list[Problem]:
    """Sizes known at run time: nothing may be read or cut by them but what is there."""
    shapes = {tensor.name: tensor.shape for tensor in meta.outputs}
    problems = _repeated("symbols", (f"{name}, axis {axis}" for s in meta.symbols for name, axis in s.axes))
    problems += _repeated("symbols", (symbol.name for symbol in meta.symbols))
    for symbol in meta.symbols:
        if symbol.min > symbol.max:
            problems.append(Problem(symbol.name, f"goes from {symbol.min} to {symbol.max}"))
        if (symbol.count.shape, symbol.count.dtype, symbol.count.layout) != ((), "int64", ""):
            problems.append(Problem(symbol.name, "its count is no int64 scalar"))
        described = [t for t in (*meta.inputs, *meta.borders, *meta.outputs) if t.name == symbol.count.name]
        if any((t.shape, t.dtype) != ((), "int64") for t in described):
            problems.append(Problem(symbol.name, f"its count {symbol.count.name!r} is described in two ways"))
        for name, axis in symbol.axes:
            if name not in shapes or axis >= len(shapes[name]) or shapes[name][axis] != symbol.max:
                problems.append(Problem(symbol.name, f"{name!r} is no output with {symbol.max} rows along axis {axis}"))
    return problems


def _repeated(where: str, values: Iterable[str]) -> list[Problem]:
    return [Problem(where, f"{v!r} occurs {n} times") for v, n in Counter(values).items() if n > 1]
