"""External tools: found or not, run with a timeout, and what their failures say."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

import optima
from devices import DeviceEnum
from optima import tools
from optima.tools import Tool, ToolFailed, ToolMissing, program, python_package, require, run_tool


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_a_tool_gives_what_it_printed(tmp_path: Path) -> None:
    out = tmp_path / "made"
    said = run_tool(script(f"print('done'); open({str(out)!r}, 'w').write('x')"), timeout_s=30, wrote=out)
    assert said.strip() == "done"


def test_a_failure_has_the_output_and_the_command() -> None:
    with pytest.raises(ToolFailed, match="no such operator") as failed:
        run_tool(script("import sys; sys.exit('no such operator')"), timeout_s=30, env={"ROOT": "/a b"})
    assert "ROOT='/a b'" in failed.value.hint
    assert "sys.exit" in failed.value.hint


def test_a_hanging_tool_is_killed_with_its_children() -> None:
    start = time.monotonic()
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    with pytest.raises(ToolFailed, match="did not end within"):
        run_tool(script(child), timeout_s=1)
    assert time.monotonic() - start < 30


def test_what_a_tool_leaves_running_does_not_hold_it_up() -> None:
    """A child in a session of its own keeps the output open: no reason to wait for it, or to call it a failure."""
    start = time.monotonic()
    assert run_tool(["sh", "-c", "setsid sleep 30 & echo $!; exit 0"], timeout_s=20).strip().isdigit()
    with pytest.raises(ToolFailed, match="did not end within 1 s"):
        run_tool(["sh", "-c", "setsid sleep 30 & sleep 60"], timeout_s=1)
    assert time.monotonic() - start < 20


def test_a_tool_that_writes_nothing_has_failed(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match=r"wrote no m\.dlc"):
        run_tool(script("print('Conversion completed successfully')"), timeout_s=30, wrote=tmp_path / "m.dlc")


def test_a_tool_that_is_not_there() -> None:
    with pytest.raises(ToolFailed, match="cannot be started"):
        run_tool(["/nowhere/compiler"], timeout_s=5)


def test_binary_output_does_no_harm() -> None:
    assert run_tool(script("import sys; sys.stdout.buffer.write(bytes(range(256)))"), timeout_s=30)


def test_what_is_missing_says_how_to_get_it() -> None:
    absent = python_package("no-such-distribution", "nothing", "pip install it")
    unneeded = program("no-such-program", "nothing", "apt-get install it", optional=True)
    assert not absent.found
    assert "missing: pip install it" in str(absent)
    with pytest.raises(ToolMissing, match="no-such-distribution") as missing:
        require(absent, unneeded, Tool("here", "tests", "", "1.0"))
    assert missing.value.hint == "pip install it"


def test_an_environment_variable_points_to_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_TEST_TOOL", sys.executable)
    found = program("no-such-program", "tests", "", env="OPTIMA_TEST_TOOL")
    assert found.path == sys.executable
    assert found.version.startswith("3.")


def test_each_kind_has_a_toolchain() -> None:
    chains = optima.toolchains()
    assert list(chains) == list(DeviceEnum)
    assert chains[DeviceEnum.DEVICE_KIND_X64].backend == "llvm"
    assert chains[DeviceEnum.DEVICE_KIND_X64].complete
    for kind, chain in chains.items():
        assert str(chain).startswith(kind.value)
        assert chain.backend


def test_a_program_that_hangs_when_asked_for_its_version_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper script that is asked starts the compiler proper, which must not outlive the question."""
    told: list[float] = []
    real = tools.ask_tool

    def hurried(command: Any, **more: Any) -> tuple[int, str]:
        told.append(more["timeout_s"])
        return real(command, **{**more, "timeout_s": 1})

    monkeypatch.setattr(tools, "ask_tool", hurried)
    wrapper = tmp_path / "compiler"
    wrapper.write_text(f"#!/bin/sh\nsleep 100 &\necho $! > {tmp_path}/pid\nwait\n")
    wrapper.chmod(0o755)
    assert program(str(wrapper), "tests", "").version == ""
    assert told == [20]
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    """Not of a zombie: whoever adopted it may be slow to ask for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
