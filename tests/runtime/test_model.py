"""A loaded model: what it says of itself, and that every way of running it gives the right arrays."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optima.runtime as rt
from devices import DeviceRef
from tests.runtime import folders

SHAPE = (16, 32)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> rt.Model:
    return rt.Context().load_model(folders.rich(tmp_path_factory.mktemp("rich"), SHAPE))


def arrays(seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    return x, y


def expected(x: Any, y: Any) -> dict[str, Any]:
    c = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    t = x + y
    out = (t * np.float32(2)) * np.float32(3) + c
    return {"sum": out, "again": out, "in": x, "const": c, "border": t}


def test_it_says_what_it_takes_gives_and_where_it_runs(rich: rt.Model) -> None:
    assert (rich.name, rich.input_tensor_count, rich.output_tensor_count) == ("Net", 2, 5)
    info = rich.input_tensors_info[0]
    assert (info.name, info.label, info.shape) == ("x", "left", SHAPE)
    assert info.dtype is rt.ElementType.FLOAT32 and info.dtype.itemsize == 4
    assert rich.get_input_tensor_info("right") is rich.get_input_tensor_info(1)
    assert rich.get_output_tensor_info("border").name == "t"
    assert [(s.name, str(s.device), s.backend, s.simulated) for s in rich.subgraph_info] == [
        ("subgraph_0", "X64:0", "llvm", False),
        ("subgraph_1", "X64:1", "llvm", False),
    ]
    assert rich.framework is rt.FrameworkKind.PYTORCH


@pytest.mark.parametrize("key", ["imgae", 2, -1, 1.5, None])
def test_an_unknown_tensor_is_a_lookup_error_that_lists_the_known(rich: rt.Model, key: Any) -> None:
    with pytest.raises(LookupError, match="left") as error:
        rich.get_input_tensor_info(key)
    assert isinstance(error.value, rt.UserError)


def test_calling_it_gives_the_modules_own_structure(rich: rt.Model) -> None:
    x, y = arrays(1)
    want = expected(x, y)
    for found in (rich(x, y), rich(x, right=y), rich(left=x, right=y)):
        assert isinstance(found, dict) and list(found) == list(want)
        for key, array in want.items():
            np.testing.assert_array_equal(found[key], array)


def test_run_takes_names_or_a_list_and_gives_labels(rich: rt.Model) -> None:
    x, y = arrays(2)
    want = expected(x, y)
    for given in ({"left": x, "right": y}, {"x": x, "right": y}, [x, y], (x, y)):
        found = rich.run(given)
        assert list(found) == list(want)
        np.testing.assert_array_equal(found["sum"], want["sum"])


def test_outputs_are_copies_that_the_caller_owns(rich: rt.Model) -> None:
    x, y = arrays(3)
    first = rich.run([x, y])
    kept = first["sum"].copy()
    first["const"][:] = 0
    first["in"][:] = 0
    second = rich.run([x, y])
    rich.run(list(arrays(4)))
    np.testing.assert_array_equal(first["sum"], kept)
    np.testing.assert_array_equal(second["const"], expected(x, y)["const"])
    assert all(a.flags.owndata and a.flags.c_contiguous and a.flags.writeable for a in second.values())
    assert not np.shares_memory(second["sum"], second["again"])


def test_trace_shows_every_tensor_between_steps(rich: rt.Model) -> None:
    x, y = arrays(5)
    seen = rich.trace(rich.flatten_inputs((x, y)))
    t = x + y
    assert set(seen) == {"x", "y", "t", "u", "v", "w", "w2", "b", "out", "c"}
    np.testing.assert_array_equal(seen["u"], t * 2)
    np.testing.assert_array_equal(seen["v"], (t * 2).reshape(-1))
    np.testing.assert_array_equal(seen["out"], expected(x, y)["sum"])


def test_a_request_needs_no_more_memory_than_the_manifest_says(rich: rt.Model) -> None:
    arenas = sum(s.executable.meta.arena_bytes for s in rich._loaded.subgraphs)  # type: ignore[attr-defined]
    assert rich._loaded.plan.nbytes + arenas <= rich.meta.request_bytes


def test_many_callers_at_once_get_their_own_results(rich: rt.Model) -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        x, y = arrays(seed)
        want = expected(x, y)["sum"]
        found = [rich(x, y)["sum"] for _ in range(50)]
        wrong.extend(seed for array in found if not np.array_equal(array, want))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_channels_last_borders_are_permuted(tmp_path: Path) -> None:
    shape = (2, 3, 4, 5)
    part = folders.Part(
        ("x",), ("z",),
        buffers=[folders.buffer(n, shape, "border") for n in "xz"],
        calls=[folders.call("double", "x", "z")],
        kernels={"double": folders.kernels.scale(shape, 2.0, "double")},
    )  # fmt: skip
    tensors = [folders.tensor(n, shape, layout="NHWC") for n in "xz"]
    model = rt.Context().load_model(folders.write(tmp_path, [part], tensors[:1], tensors[1:]))
    assert model.input_tensors_info[0].shape == model.output_tensors_info[0].shape == (2, 4, 5, 3)
    x = np.arange(120, dtype=np.float32).reshape(2, 4, 5, 3)
    np.testing.assert_array_equal(model(x), x * 2)
    with pytest.raises(rt.InputError, match="NHWC"):
        model(x.transpose(0, 3, 1, 2))
    nchw = x.transpose(0, 3, 1, 2)
    inputs = model.flatten_inputs((nchw,))
    np.testing.assert_array_equal(model.run_flat(inputs)[0], nchw * 2)
    np.testing.assert_array_equal(model.trace(inputs)["z"], nchw * 2)


def test_a_model_without_any_subgraph_gives_its_inputs_and_constants(tmp_path: Path) -> None:
    c = folders.constant("c", np.array(7, np.int64))
    x = folders.tensor("x", (3,), "bool")
    path = folders.write(tmp_path, [], [x], [x, folders.tensor("c", (), "int64")], constants={"c": c})
    found, seven = rt.Context().load_model(path)(np.array([True, False, True]))
    assert found.tolist() == [True, False, True]
    assert seven.shape == () and seven == 7


def test_blocked_tensors_are_traced_in_logical_form(tmp_path: Path) -> None:
    from optima.backends.llvm.load import unblocked

    logical = np.arange(2 * 8 * 3 * 5).reshape(2, 8, 3, 5)
    blocked = logical.reshape(2, 2, 4, 3, 5).transpose(0, 1, 3, 4, 2).copy()
    np.testing.assert_array_equal(unblocked(blocked, 8), logical)
    np.testing.assert_array_equal(unblocked(blocked, 7), logical[:, :7])


def test_the_context_knows_the_host(rich: rt.Model) -> None:
    context = rt.Context()
    assert context.available_devices == (DeviceRef(rt.DeviceKind.DEVICE_KIND_X64, 0),)
    assert context.version == rich.meta.toolchain["optima"]
