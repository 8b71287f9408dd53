"""builtins.c on this machine, against Python's and numpy's arithmetic."""

from __future__ import annotations

import ctypes
import itertools
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optima.kernels import cross

BUILTINS_C = Path(cross.__path__[0]) / "builtins.c"

_EDGES = (0, 1, 2, 3, 7, 10, 2**24 - 1, 2**24 + 1, 2**24 + 3, 2**31, 2**32 - 1, 2**53 - 1, 2**53 + 1, 2**53 + 3,
          2**61 + 12345, 2**62 + 2**38, 2**63 - 1)  # fmt: skip


@pytest.fixture(scope="module")
def builtins(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """builtins.c compiled for this machine, which has other functions for the same."""
    path = tmp_path_factory.mktemp("builtins") / "builtins.so"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fPIC", "-shared", "-Wl,-Bsymbolic"]
    flags.append("-D__arm__")  # ARM's own functions, too
    subprocess.run(["cc", *flags, "-o", str(path), str(BUILTINS_C)], check=True)
    return ctypes.CDLL(str(path))


def call(library: ctypes.CDLL, name: str, result: Any, kind: Any, *values: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, [kind] * len(values)
    return function(*values)


def integers() -> list[int]:
    drawn = np.random.default_rng(0).integers(-(2**63), 2**63, 400, dtype=np.int64)
    shifted = [int(x) >> int(s) for x, s in zip(drawn, itertools.cycle(range(64)), strict=False)]
    return [*_EDGES, *(-x for x in _EDGES), -(2**63), *shifted]


def test_division_is_pythons_towards_zero(builtins: ctypes.CDLL) -> None:
    numbers = integers()
    signed, unsigned = ctypes.c_int64, ctypes.c_uint64
    for a, b in zip(numbers, reversed(numbers[3:] + numbers[:3]), strict=True):
        if b == 0 or (a, b) == (-(2**63), -1):
            continue
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        assert call(builtins, "__divdi3", signed, signed, a, b) == quotient
        assert call(builtins, "__moddi3", signed, signed, a, b) == a - quotient * b
        ua, ub = a % 2**64, b % 2**64
        assert call(builtins, "__udivdi3", unsigned, unsigned, ua, ub) == ua // ub
        assert call(builtins, "__umoddi3", unsigned, unsigned, ua, ub) == ua % ub


def test_integers_become_the_nearest_float(builtins: ctypes.CDLL) -> None:
    for x in integers():
        assert call(builtins, "__floatdisf", ctypes.c_float, ctypes.c_int64, x) == float(np.int64(x).astype(np.float32))
        assert call(builtins, "__floatdidf", ctypes.c_double, ctypes.c_int64, x) == float(x)
        u = x % 2**64
        assert call(builtins, "__floatundisf", ctypes.c_float, ctypes.c_uint64, u) == float(
            np.uint64(u).astype(np.float32)
        )
        assert call(builtins, "__floatundidf", ctypes.c_double, ctypes.c_uint64, u) == float(u)


def test_floats_are_cut_to_integers(builtins: ctypes.CDLL) -> None:
    floats = [0.0, -0.0, 0.99, -0.99, 1.5, -2.5, 16777217.7, 2.0**62, -(2.0**62), -(2.0**63), 1e-300]
    for x in (*floats, *(float(x) for x in integers() if abs(x) < 2**62)):
        single = float(np.float32(x))
        assert call(builtins, "__fixdfdi", ctypes.c_int64, ctypes.c_double, x) == int(x)
        assert call(builtins, "__fixsfdi", ctypes.c_int64, ctypes.c_float, x) == int(single)
        if x >= 0:
            assert call(builtins, "__fixunsdfdi", ctypes.c_uint64, ctypes.c_double, x) == int(x)
            assert call(builtins, "__fixunssfdi", ctypes.c_uint64, ctypes.c_float, x) == int(single)
    for x in (2.0**63, float("inf"), float("-inf"), float("nan"), -1e30):
        assert call(builtins, "__fixdfdi", ctypes.c_int64, ctypes.c_double, x) == -(2**63)
        assert call(builtins, "__fixsfdi", ctypes.c_int64, ctypes.c_float, x) == -(2**63)
    assert call(builtins, "__fixunsdfdi", ctypes.c_uint64, ctypes.c_double, 2.0**63) == 2**63


def test_half_floats_go_there_and_back(builtins: ctypes.CDLL) -> None:
    word = ctypes.c_uint32
    halves = np.arange(2**16, dtype=np.uint16)
    wide = np.array([call(builtins, "__gnu_h2f_ieee", word, word, int(h)) for h in halves], np.uint32)
    same = wide == halves.view(np.float16).astype(np.float32).view(np.uint32)
    assert (same | np.isnan(halves.view(np.float16))).all()
    assert np.isnan(wide.view(np.float32)[np.isnan(halves.view(np.float16))]).all()

    ties = (wide[:-1].astype(np.uint64) + wide[1:]) // 2
    drawn = np.random.default_rng(0).integers(0, 2**32, 20000)
    singles = np.concatenate([wide, ties, ties + 1, ties - 1, drawn]).astype(np.uint32)
    with np.errstate(over="ignore"):
        wanted = singles.view(np.float32).astype(np.float16)
    got = np.array([call(builtins, "__gnu_f2h_ieee", word, word, int(s)) for s in singles]).astype(np.uint16)
    assert ((got == wanted.view(np.uint16)) | np.isnan(wanted)).all()
    assert np.isnan(got.view(np.float16)[np.isnan(wanted)]).all()
