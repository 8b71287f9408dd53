"""Which GLSL compiler this machine has, and running it: the one in slangpy's wheel, else Debian's glslangValidator."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from optima.backends.spirv import glslang as wheel
from optima.backends.spirv.tools import INSTALL, glslang, validator
from optima.backends.spirv.words import BadSpirv, cleaned
from optima.tools import Tool, ToolFailed, ToolMissing, python_package, run_tool

#: seconds that a compiler or validator may take for one kernel
_TIMEOUT_S = 120
_ENVIRONMENT = "vulkan1.1"
#: the package whose wheel holds glslang and SPIR-V's validator
WHEEL = "slangpy"


@dataclass(frozen=True)
class Compiler:
    """A compiler of GLSL, by what says which it is in keys, jobs and manifests."""

    name: str
    version: str


@cache
def find_compiler() -> Compiler:
    """The compiler that jobs use. Raises ToolMissing where there is none."""
    package = python_package(WHEEL, "", INSTALL)
    if package.found and wheel.library_path() is not None:
        return Compiler(WHEEL, package.version)
    tool = glslang()
    if tool.found:
        return Compiler(tool.name, tool.version)
    raise ToolMissing(
        "there is no shader compiler here: neither slangpy nor glslangValidator",
        hint=f"{INSTALL}, or {tool.install}",
    )


@cache
def find_validator() -> Tool | None:
    """spirv-val, None where it is not installed."""
    tool = validator()
    return tool if tool.found else None


def module_of(text: str, compiler: str) -> bytes:
    """The cleaned SPIR-V module of a kernel's text, by the compiler of that name.

    Valid by spirv-val, the wheel's and the system's, where they are there: what either refuses is never written.
    Raises ToolFailed, ToolMissing, BadSpirv.
    """
    if compiler != WHEEL:
        module = cleaned(_glslang(text))
    else:
        module = cleaned(wheel.compile_text(text))
        if not wheel.is_valid(module):
            raise BadSpirv("a kernel is not valid SPIR-V", hint=f"report it:\n{text[:4000]}")
    validate(module, text)
    return module


def validate(module: bytes, text: str = "") -> None:
    """Raise BadSpirv unless the system's spirv-val takes the module, or is not installed."""
    tool = find_validator()
    if tool is None:
        return
    with tempfile.TemporaryDirectory(prefix="optima-") as folder:
        file = Path(folder) / "kernel.spv"
        file.write_bytes(module)
        try:
            run_tool([tool.path, "--target-env", _ENVIRONMENT, file], timeout_s=_TIMEOUT_S)
        except ToolFailed as error:
            raise BadSpirv(f"spirv-val refuses a kernel: {error.message}", hint=f"report it:\n{text[:4000]}") from error


def _glslang(text: str) -> bytes:
    tool = glslang()
    if not tool.found:
        raise ToolMissing("glslangValidator is not installed here", hint=tool.install)
    with tempfile.TemporaryDirectory(prefix="optima-") as folder:
        source, made = Path(folder) / "kernel.comp", Path(folder) / "kernel.spv"
        source.write_text(text)
        command: list[str | Path] = [tool.path, "-V", "--target-env", _ENVIRONMENT, "-o", made, source]
        run_tool(command, timeout_s=_TIMEOUT_S, wrote=made)
        return made.read_bytes()
