"""A compiler from a kernel's text to SPIR-V, and running it: only what every validator takes comes out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from optima.backends.spirv.tools import validator
from optima.backends.spirv.words import BadSpirv, capabilities, cleaned
from optima.backends.tool_folder import tool_folder
from optima.tools import Tool, ask_tool, run_tool, tool_failed

#: seconds that a compiler or validator may take for one kernel
TIMEOUT_S = 120
#: what a compiler's last step writes
MODULE = "kernel.spv"
#: a validator's exit status for a module that is not valid
_INVALID = 1
#: characters of a kernel, or of what a validator says, that an error shows
_SHOWN = 4000


@dataclass(frozen=True)
class Step:
    """A command of a compiler, run in a folder of its own. ``called``: its name in errors; ``wrote``: what it makes."""

    called: str
    argv: tuple[str, ...]
    wrote: str = ""

    def run(self, folder: Path) -> str:
        """What it printed. Raises ToolFailed."""
        return run_tool(
            self.argv,
            timeout_s=TIMEOUT_S,
            folder=folder,
            wrote=folder / self.wrote if self.wrote else None,
            called=self.called,
        )


@dataclass(frozen=True)
class Compiler:
    """``name`` says in jobs and keys which it is; ``versions`` are those of all that it runs.

    ``source`` is the file that it reads. ``levels``: how much it may optimise, the first that gives a valid module
    being taken; ``steps`` are its commands at a level. ``check``: a validator that comes with it.
    """

    name: str
    versions: tuple[tuple[str, str], ...]
    source: str
    levels: tuple[str, ...]
    steps: Callable[[str], Sequence[Step]]
    check: Step | None = None


@cache
def find_validator() -> Tool | None:
    """The system's spirv-val, None where it is not installed."""
    tool = validator()
    return tool if tool.found else None


def module_of(text: str, compiler: Compiler) -> bytes:
    """The cleaned, valid SPIR-V module of a kernel's text.

    Raises ToolFailed for a tool that fails, hangs or writes what is no SPIR-V: its files are then kept, so that the
    command in the hint can be repeated. Raises BadSpirv where no level gives a valid module.
    """
    with tool_folder("optima-") as folder:
        (folder / compiler.source).write_text(text)
        return _valid(text, compiler, folder)


def _valid(text: str, compiler: Compiler, folder: Path) -> bytes:
    for level in compiler.levels:
        module = _made(compiler, level, folder)
        refusal = _refusal(module, compiler.check, folder)
        if not refusal:
            return module
    raise BadSpirv(f"a kernel is not valid SPIR-V: {refusal}", hint=f"report it:\n{text[:_SHOWN]}")


def _made(compiler: Compiler, level: str, folder: Path) -> bytes:
    said = ""
    for step in compiler.steps(level):
        said = step.run(folder)
    try:
        return cleaned((folder / MODULE).read_bytes())
    except BadSpirv as error:
        raise tool_failed(step.argv, f"wrote what is no SPIR-V ({error.message})", said, called=step.called) from error


def _refusal(module: bytes, check: Step | None, folder: Path) -> str:
    """What the validators have against a module, "" for nothing. Raises ToolFailed for one that gives no answer."""
    (folder / MODULE).write_bytes(module)
    for step in (_spirv_val(module), check):
        if step is None:
            continue
        status, said = ask_tool(step.argv, timeout_s=TIMEOUT_S, folder=folder, called=step.called)
        if status == _INVALID:
            return f"{step.called} says: {said.strip()[-_SHOWN:] or 'nothing'}"
        if status != 0:
            raise tool_failed(step.argv, f"ended with status {status}", said, called=step.called)
    return ""


def validate(module: bytes) -> None:
    """Raise BadSpirv unless the system's spirv-val takes the module, or is not installed."""
    with tempfile.TemporaryDirectory(prefix="optima-") as folder:
        refusal = _refusal(module, None, Path(folder))
    if refusal:
        raise BadSpirv(f"a kernel is not valid SPIR-V: {refusal}", hint="compile the model again")


def _spirv_val(module: bytes) -> Step | None:
    tool = find_validator()
    if tool is None:
        return None
    return Step("spirv-val", (tool.path, "--target-env", _environment(capabilities(module)), MODULE))


def _environment(needed: Sequence[str]) -> str:
    """What spirv-val holds a module against."""
    if "Shader" in needed:
        return "vulkan1.1"
    return "spv1.2" if "Float16" in needed else "opencl2.2"  # half is an extension, which opencl2.2 does not know
