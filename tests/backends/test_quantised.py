"""The key of a quantising job: everything that the bytes depend on, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optima.backends.quantised import job_key

SAMPLES = {"a": np.zeros((2, 3), np.float32), "b": np.ones((2, 1), np.float32)}


def key(**changes: Any) -> str:
    given: dict[str, Any] = {"backend": "snpe", "model": b"m", "samples": SAMPLES, "settings": {"bits": 8}, **changes}
    return job_key(given["backend"], given["model"], given["samples"], given["settings"])


@pytest.mark.parametrize(
    "changes",
    [
        {"backend": "other"},
        {"model": b"n"},
        {"settings": {"bits": 16}},
        {"samples": {**SAMPLES, "a": np.ones((2, 3), np.float32)}},
        {"samples": {**SAMPLES, "a": np.zeros((3, 2), np.float32)}},
        {"samples": {"c": SAMPLES["a"], "b": SAMPLES["b"]}},
        {"samples": {**SAMPLES, "a": np.zeros((2, 3), np.int32)}},
    ],
)
def test_whatever_the_bytes_depend_on_is_in_the_key(changes: dict[str, Any]) -> None:
    assert key(**changes) != key()


def test_equal_work_has_an_equal_key() -> None:
    strided = {**SAMPLES, "a": np.zeros((3, 2), np.float32).T}
    assert key(samples=strided, settings={"bits": 8}) == key()
    assert len(key()) == 64
