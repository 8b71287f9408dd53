"""docs/kernel_abi.md: its host in C compiles without a warning, and calls a kernel rightly."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.native import kernels

PAGE = Path(__file__).parents[2] / "docs" / "kernel_abi.md"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("host")
    (source,) = re.findall(r"```c\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (folder / "host.c").write_text(source)
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-rdynamic"]
    subprocess.run(["gcc", *flags, "-o", "host", "host.c", "-ldl"], check=True, cwd=folder)
    return folder / "host"


def run(host: Path, kernel: bytes) -> subprocess.CompletedProcess[str]:
    path = host.parent / "add.so"
    path.write_bytes(kernel)
    return subprocess.run([host, path], capture_output=True, text=True, timeout=60, check=False)


def test_the_pages_host_calls_a_kernel(host: Path) -> None:
    done = run(host, kernels.add((64, 1000)))
    assert (done.returncode, done.stdout) == (0, "right\n")


def test_it_reports_a_kernels_error(host: Path) -> None:
    done = run(host, kernels.add((64, 1001)))
    assert done.returncode != 0 and "the kernel failed" in done.stdout
    assert "Error: " in done.stderr and "shape" in done.stderr
