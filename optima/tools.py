"""Compilers and libraries from outside: whether they are here, and running them in a subprocess.

Each backend names its tools in a file ``tools.py`` of its folder; ``optima.toolchains()`` shows them all.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from devices import UserError

_SHOWN = 2000
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")


class NotUsableHere(UserError):
    """Something outside of Optima that a step needs is absent on this machine, or fails: a tool, a driver, a device.

    Example: ``load_model(path, fallback=True)`` of a model for ``"MALI:0"`` without a Vulkan driver. The runtime then
    tries what is next: another device of the preference list, the CPU's form. Fix: what the hint of each says.
    """


class ToolMissing(NotUsableHere):
    """A compiler that a device of the map needs, and that is not on this machine.

    Example: a map with ``"MALI:0"`` where ``optima[spirv]`` is not installed.
    Fix: the command in the hint, or another device in the map. ``optima.toolchains()`` lists what is here.
    """


class ToolFailed(NotUsableHere):
    """An external tool that failed, hung or wrote nothing. The message has its output and the command to repeat.

    Example: a vendor's converter that does not know an operator. Fix: what the tool says, or map the ops elsewhere.
    """


@dataclass(frozen=True)
class Tool:
    """A compiler or library, as found. ``version`` is "" where it is absent; ``install`` is the exact command.

    ``serves`` says what it is for; ``optional`` marks one whose absence only takes something away.
    """

    name: str
    serves: str
    install: str
    version: str = ""
    path: str = ""
    optional: bool = False

    @property
    def found(self) -> bool:
        """Whether it is on this machine."""
        return bool(self.version or self.path)

    def __str__(self) -> str:
        state = f"{self.version} {self.path}".strip() if self.found else f"missing: {self.install}"
        return f"{self.name}: {state} ({self.serves})"


def python_package(name: str, serves: str, install: str, *, optional: bool = False) -> Tool:
    """A package of this interpreter, by its distribution's name."""
    try:
        return Tool(name, serves, install, version(name), optional=optional)
    except PackageNotFoundError:
        return Tool(name, serves, install, optional=optional)


def program(
    name: str,
    serves: str,
    install: str,
    *,
    env: str = "",
    ask: Sequence[str] = ("--version",),
    version_pattern: re.Pattern[str] = _VERSION,
    optional: bool = False,
) -> Tool:
    """A program on the PATH, or where the environment variable ``env`` points. Asked for its version.

    ``version_pattern``: what its version is in that answer; by default the first number with a dot.
    """
    given = os.environ.get(env, "") if env else ""
    path = shutil.which(given or name)
    if path is None:
        return Tool(name, serves, install, optional=optional)
    return Tool(name, serves, install, _version_of(path, ask, version_pattern), path, optional)


def _version_of(path: str, ask: Sequence[str], pattern: re.Pattern[str]) -> str:
    if not ask:
        return ""
    try:
        _, said = ask_tool([path, *ask], timeout_s=20)
    except ToolFailed:
        return ""
    found = pattern.search(said)
    return found.group() if found else ""


def require(*tools: Tool) -> None:
    """Raise ToolMissing, naming all of them, unless every tool that is not optional was found."""
    missing = [tool for tool in tools if not tool.found and not tool.optional]
    if missing:
        names = ", ".join(tool.name for tool in missing)
        raise ToolMissing(
            f"{names} {'is' if len(missing) == 1 else 'are'} not installed here",
            hint="; ".join(dict.fromkeys(tool.install for tool in missing)),
        )


def run_tool(
    command: Sequence[str | Path],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    wrote: Path | None = None,
    called: str = "",
) -> str:
    """Run a tool and give what it printed. ``env`` is added to this process's; ``wrote`` must exist afterwards.

    ``called``: its name in errors, where the program's own says little. Raises ToolFailed, with the end of its output
    and the command, when it cannot be started, fails, takes longer than ``timeout_s`` seconds, or leaves no ``wrote``
    with anything in it. What it started is killed with it.
    """
    status, said = ask_tool(command, timeout_s=timeout_s, env=env, folder=folder, called=called)
    if status != 0:
        raise tool_failed(command, f"ended with status {status}", said, env=env, called=called)
    if wrote is not None and (not wrote.is_file() or wrote.stat().st_size == 0):
        raise tool_failed(command, f"wrote no {wrote.name}", said, env=env, called=called)
    return said


def ask_tool(
    command: Sequence[str | Path],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    called: str = "",
) -> tuple[int, str]:
    """A tool's exit status, negative for a signal, and what it printed: for tools whose status is an answer.

    As ``run_tool``, but raises ToolFailed only when it cannot be started or takes too long.
    """
    argv = [str(part) for part in command]
    # A file, no pipe: what the tool leaves running could hold a pipe open after its end.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder,
                env={**os.environ, **(env or {})}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            hint = f"the command was: {_repeatable(argv, env)}"
            raise ToolFailed(f"{called or argv[0]} cannot be started: {error.strerror}", hint=hint) from error
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            how = f"did not end within {timeout_s:g} s"
            raise tool_failed(argv, how, _said(output), env=env, called=called) from None
        finally:
            if process.poll() is None:  # an interrupt, say
                _kill(process)
        return process.returncode, _said(output)


def _said(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process with everything that it started and that stayed in its session."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        process.kill()
    process.wait()


def tool_failed(
    command: Sequence[str | Path], how: str, said: str, *, env: Mapping[str, str] | None = None, called: str = ""
) -> ToolFailed:
    """The error of a tool that ``said`` something and did wrong: ``how``, as in "wrote what cannot be read"."""
    words = said.strip()[-_SHOWN:] or "it printed nothing"
    argv = [str(part) for part in command]
    return ToolFailed(
        f"{called or Path(argv[0]).name} {how}:\n{words}", hint=f"repeat it with: {_repeatable(argv, env)}"
    )


def _repeatable(argv: Sequence[str], env: Mapping[str, str] | None) -> str:
    return " ".join([*(f"{k}={shlex.quote(v)}" for k, v in (env or {}).items()), shlex.join(argv)])
