"""Indices that name no element: torch raises, kernels leave the value out or take the nearest, and stay in bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.ops.case import Arg, OpCase
from tests.ops.harness import run_kernel

_BAD = np.array([1, 7, -9, 2**40, 3])
_BAG = {"scale_grad_by_freq": False, "mode": 0, "sparse": False, "include_last_offset": False, "padding_idx": None}


def _run(op: str, attrs: Mapping[str, Any], **values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    names = {role: role.replace("__", ".") for role in values}
    args = tuple(Arg(names[r], v.shape, str(v.dtype)) for r, v in values.items())
    graph = OpCase(op, args, attrs).graph()
    return run_kernel(graph, {names[r]: v for r, v in values.items()})[0]


@pytest.mark.parametrize("width", [1, 40])
def test_rows_that_do_not_exist_are_left_out(width: int) -> None:
    x = np.zeros((5, width), "float32")
    rows = np.arange(1, 6, dtype="float32").repeat(width).reshape(5, width)
    wanted = x.copy()
    wanted[1], wanted[3] = 1, 5
    attrs = {"dim": 0, "alpha": 1}
    np.testing.assert_array_equal(_run("index_add", attrs, self=x, index=_BAD, source=rows), wanted)
    put = _run("index_put", {"accumulate": False}, self=x, indices__0=_BAD, values=rows)
    np.testing.assert_array_equal(put, wanted)


def test_elements_that_do_not_exist_are_left_out() -> None:
    x, new = np.zeros(5, "float32"), np.arange(1, 6, dtype="float32")
    wanted = np.array([0, 1, 0, 5, 0], "float32")
    np.testing.assert_array_equal(_run("scatter", {"dim": 0}, self=x, index=_BAD, src=new), wanted)
    np.testing.assert_array_equal(_run("put", {"accumulate": True}, self=x, index=_BAD, source=new), wanted)


def test_too_few_values_for_a_mask_repeat_the_last() -> None:
    x, mask = np.zeros(4, "float32"), np.array([True, False, True, True])
    got = _run("masked_scatter", {}, self=x, mask=mask, source=np.array([1, 2], "float32"))
    np.testing.assert_array_equal(got, np.array([1, 0, 2, 2], "float32"))


def test_bags_stay_within_the_table_and_the_indices() -> None:
    table = np.arange(3, dtype="float32").reshape(3, 1)
    offsets = np.array([-5, 2, 900], "int64")
    got = _run("embedding_bag", _BAG, weight=table, indices=np.array([2, -4, 1, 99]), offsets=offsets)
    np.testing.assert_array_equal(got, np.array([[2], [3], [0]], "float32"))
