"""What users give: odd arrays are copied right, wrong ones are refused with everything that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optima.runtime as rt
from tests.runtime import folders

SHAPE = (4, 8)
A = np.arange(32, dtype=np.float32).reshape(SHAPE)
B = np.full(SHAPE, 0.5, np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> rt.Model:
    return rt.Context().load_model(folders.simple(tmp_path_factory.mktemp("inputs"), SHAPE))


def echo(root: Path, shape: tuple[int, ...], dtype: str) -> rt.Model:
    """A model that gives its input back."""
    x = folders.tensor("x", shape, dtype)
    return rt.Context().load_model(folders.write(root, [], [x], [x]))


def misaligned() -> np.ndarray[Any, Any]:
    raw = np.zeros(A.nbytes + 1, np.uint8)
    view = raw[1:].view(np.float32).reshape(SHAPE)
    view[:] = A
    assert not view.flags.aligned
    return view


def read_only() -> np.ndarray[Any, Any]:
    copy = A.copy()
    copy.flags.writeable = False
    return copy


class Duck:
    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return A


@pytest.mark.parametrize(
    "given",
    [
        np.asfortranarray(A),
        np.repeat(A, 2, axis=1)[:, ::2],
        A[::-1][::-1],
        A.T.copy().T,
        misaligned(),
        read_only(),
        A.astype(">f4"),
        np.ma.masked_array(A),
        Duck(),
        A.view(np.matrix),
    ],
    ids=["fortran", "strided", "reversed", "transposed", "misaligned", "read-only", "swapped", "masked-none",
         "duck", "matrix"],
)  # fmt: skip
def test_odd_arrays_are_copied_right(model: rt.Model, given: Any) -> None:
    np.testing.assert_array_equal(model(given, B), A + B)


def test_torch_tensors_are_taken(model: rt.Model) -> None:
    import torch

    tensor = torch.tensor(A.T.copy(), requires_grad=True).T
    np.testing.assert_array_equal(model(tensor, torch.tensor(B)), A + B)


def test_bfloat16_travels_as_bits(tmp_path: Path) -> None:
    import torch

    model = echo(tmp_path, (3,), "bfloat16")
    tensor = torch.tensor([1.0, -2.5, 3.0]).to(torch.bfloat16)
    bits = tensor.view(torch.uint16).numpy()
    for given in (tensor, bits):
        found = model(given)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, bits)
    with pytest.raises(rt.InputError, match="uint16 bits"):
        model(np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("dtype", "given"),
    [("float32", np.float32(3)), ("int64", 3), ("bool", True), ("float64", 2.5), ("int64", np.array(3))],
)
def test_scalars_without_dimensions(tmp_path: Path, dtype: str, given: Any) -> None:
    found = echo(tmp_path, (), dtype)(given)
    assert found.shape == () and found.dtype == dtype and found == given


def test_empty_arrays(tmp_path: Path) -> None:
    assert echo(tmp_path, (0, 4), "float32")(np.zeros((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([A.astype(np.float64), B], r"left .*float64, and float32 is expected: pass x.astype\(np.float32\)"),
        ([A.tolist(), B], "left .*float64"),
        ([A.astype(np.int32), B], "left .*int32"),
        ([A, B[:2]], r"right .*\[2, 8\], and \[4, 8\] is expected"),
        ([A[None], B], r"left .*\[1, 4, 8\]"),
        ([A], "1 given, 2 expected"),
        ([A, B, B], "3 given, 2 expected"),
        (A, "1 given, 2 expected"),
        ({"left": A}, r"right .*missing: float32\[4, 8\]"),
        ({"left": A, "right": B, "up": B}, "up .*no input of this name"),
        ({"left": A, "x": A, "right": B}, "given twice"),
        ([None, B], "left .*NoneType"),
        (["abc", B], "left .*str"),
        ([[[1, 2], [3]], B], "left .*cannot be read as an array"),
        ([object(), B], "left .*object"),
        ([np.ma.masked_array(A, mask=A > 3), B], "masked"),
        ([np.zeros(SHAPE, "f4,f4"), B], "left"),
    ],
)
def test_wrong_inputs_are_refused(model: rt.Model, given: Any, reason: str) -> None:
    with pytest.raises(rt.InputError, match=reason) as error:
        model.run(given)
    assert isinstance(error.value, TypeError) and isinstance(error.value, ValueError)
    assert isinstance(error.value, rt.OptimaError)
    assert "left: float32[4, 8]; right: float32[4, 8]" in error.value.hint


def test_all_problems_come_at_once(model: rt.Model) -> None:
    with pytest.raises(rt.InputError) as error:
        model.run({"left": A.astype(np.float64), "z": A, "w": A})
    assert [p.subject for p in error.value.problems] == ["z", "w", "right", "left"]


def test_nothing_is_copied_in_when_something_is_wrong(model: rt.Model) -> None:
    request = model.create_request()
    request.set_inputs([A, B])
    with pytest.raises(rt.InputError):
        request.set_inputs([A + 1, B[:2]])
    np.testing.assert_array_equal(request.get_input_tensor(0).to_numpy(), A)


@pytest.mark.parametrize("args", [(), (A,), (A, B, B)])
def test_calls_with_the_wrong_number_of_arguments(model: rt.Model, args: Any) -> None:
    with pytest.raises(TypeError, match="arguments do not fit") as error:
        model(*args)
    assert isinstance(error.value, rt.InputError)


def test_a_list_of_python_ints_is_no_float32(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="int64, and float32 is expected"):
        echo(tmp_path, (2,), "float32").run([[1, 2]])
