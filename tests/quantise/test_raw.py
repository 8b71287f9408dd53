"""The files that SNPE's tools read, against the documented contract."""

from __future__ import annotations

import numpy as np
import pytest

from devices import InternalError
from optima.quantise import calibration_files
from optima.quantise.raw import raw_bytes


def test_a_raw_file_is_bare_float32_in_row_major_order() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert raw_bytes(array) == np.array([0, 3, 1, 4, 2, 5], "<f4").tobytes()


def test_the_list_has_a_line_per_sample_and_a_word_per_input() -> None:
    samples = {"tensor_0": np.zeros((2, 1, 3), np.float32), "tensor_1": np.ones((2, 4), np.float32)}
    files = calibration_files(samples)
    assert files["input_list.txt"].decode() == (
        "tensor_0:=calib/0000_tensor_0.raw tensor_1:=calib/0000_tensor_1.raw\n"
        "tensor_0:=calib/0001_tensor_0.raw tensor_1:=calib/0001_tensor_1.raw\n"
    )
    assert files["calib/0001_tensor_1.raw"] == np.ones(4, "<f4").tobytes()
    assert len(files) == 5


def test_a_name_that_the_list_cannot_hold_is_refused() -> None:
    with pytest.raises(InternalError, match="a b"):
        calibration_files({"a b": np.zeros((1, 1), np.float32)})
