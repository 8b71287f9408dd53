"""Object code: the same bytes from every process, the exported symbol, and the linker's refusals."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from devices import DeviceRef
from optima.graph import Origin
from optima.kernels.build import LinkError, compile_kernel, link
from optima.kernels.naming import canonical, kernel_key, kernel_name, toolchain_versions
from optima.kernels.target import resolve
from tests.kernels.harness import chain

_VERSIONS = {"tool": "1"}


def _group():
    steps = [
        ("matmul", "y", (("self", "a"), ("other", "b")), {}),
        ("relu", "z", (("self", "y"),), {}),
    ]
    return chain(steps, {"a": (20, 30), "b": (30, 40)}, ["z"])


def _payload(name: str = "kernel_1"):
    return {"name": name, "group": canonical(_group()).dump(), "target": resolve().to_dict()}


_COMPILE = """
import hashlib, json, sys
from optima.kernels.build import compile_kernel
code = compile_kernel(json.load(sys.stdin))
print(hashlib.sha256(code).hexdigest(), sys.modules.get("torch") is None)
"""


def _digest_elsewhere(seed: str, folder: Path) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", _COMPILE],
        input=json.dumps(_payload()),
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    digest, without_torch = done.stdout.split()
    return digest, without_torch


def test_bytes_are_the_same_in_every_process(tmp_path: Path) -> None:
    here = hashlib.sha256(compile_kernel(_payload())).hexdigest()
    assert _digest_elsewhere("1", tmp_path) == (here, "True")
    assert _digest_elsewhere("77", Path.cwd()) == (here, "True")


def test_symbol_and_no_paths() -> None:
    code = compile_kernel(_payload("matmul_relu_1"))
    assert code[:4] == b"\x7fELF"
    assert b"__tvm_ffi_matmul_relu_1\0" in code
    assert str(Path.cwd()).encode() not in code


def test_a_link_that_fails_shows_the_command_and_what_was_said() -> None:
    with pytest.raises(LinkError) as error:
        link(b"no object")
    assert "kernel.o" in str(error.value) and "-shared" in error.value.hint


def test_no_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(LinkError, match="no-such-compiler") as error:
        link(b"")
    assert "install" in error.value.hint


def test_names_origins_and_devices_do_not_reach_the_key() -> None:
    group = _group()
    renamed = replace(
        group,
        ops=tuple(
            replace(o, name=f"other_{o.name}", origins=(Origin("m.py", 3, "f"),), devices=(DeviceRef.parse("X64:1"),))
            for o in group.ops
        ),
    )
    target = resolve()
    key = kernel_key(group, target, _VERSIONS)
    assert kernel_key(renamed, target, _VERSIONS) == key
    assert kernel_key(group, replace(target, threads=7), _VERSIONS) != key
    assert kernel_key(group, target, {"tool": "2"}) != key
    assert kernel_name(group, key) == f"matmul_relu_{key[:10]}"


def test_attributes_and_types_reach_the_key() -> None:
    target = resolve()
    softmax = [chain([("softmax", "y", (("self", "a"),), {"dim": d})], {"a": (4, 4)}, ["y"]) for d in (0, 1)]
    assert len({kernel_key(g, target, _VERSIONS) for g in softmax}) == 2


def test_versions_cover_our_own_sources() -> None:
    assert len(toolchain_versions()["kernels"]) == 64
