"""What `load_model` refuses before it opens code, and what it says."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import optima.runtime as rt
from devices import DeviceRef
from optima.artifact.reader import digest_of
from optima.backends.base import LoadEnv, SubgraphView
from optima.backends.kernel_route.checking import BadSubgraph
from optima.backends.llvm.load import load
from optima.graph import TensorType
from tests.native import kernels
from tests.runtime import folders

SHAPE = (4, 8)
ONES = np.ones(SHAPE, np.float32)


def test_absent_devices_are_listed_all_at_once(tmp_path: Path) -> None:
    parts = [
        folders.Part((), (), devices=("MALI:0",)),
        folders.Part((), (), devices=("X64:3",)),
        folders.Part((), (), devices=("ARM64:1", "HEXAGON:0")),
    ]
    path = folders.write(tmp_path, parts, [], [])
    with pytest.raises(rt.DeviceAbsent) as error:
        rt.Context().load_model(path)
    assert [p.subject for p in error.value.problems] == ["MALI:0", "ARM64:1, HEXAGON:0"]
    assert "X64:0" in error.value.hint


def test_the_first_present_device_of_a_list_is_taken(tmp_path: Path) -> None:
    model = rt.Context().load_model(folders.simple(tmp_path, SHAPE, devices=("HEXAGON:0", "X64:7")))
    assert str(model.subgraph_info[0].device) == "X64:7"


def test_fallback_is_logged_and_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = folders.simple(tmp_path, SHAPE, devices=("MALI:0",), target={})
    with caplog.at_level(logging.WARNING):
        model = rt.Context().load_model(path, fallback=True)
    assert model.subgraph_info[0].simulated
    assert "MALI:0 is absent" in caplog.text


def test_missing_cpu_features_are_refused_before_any_code_is_opened(tmp_path: Path) -> None:
    target = {"triple": folders.TRIPLE, "cpu": "future", "features": ["sse2", "avx2048", "teleport"]}
    path = folders.simple(tmp_path, SHAPE, target=target, kernels={"add": b"not even a kernel"})
    with pytest.raises(rt.WrongCpu, match="future; this CPU lacks avx2048, teleport"):
        rt.Context().load_model(path)


def test_features_are_compared_where_the_cpu_is_the_second_choice(tmp_path: Path) -> None:
    target = {"triple": folders.TRIPLE, "cpu": "future", "features": ["teleport"]}
    path = folders.simple(tmp_path, SHAPE, target=target, devices=("HEXAGON:0", "X64:0"))
    with pytest.raises(rt.WrongCpu, match="teleport"):
        rt.Context().load_model(path)


@pytest.mark.parametrize("features", [{}, {"features": 5}, {"features": [1]}])
def test_code_that_does_not_say_what_it_needs_is_refused(features: dict[str, Any], tmp_path: Path) -> None:
    path = folders.simple(tmp_path, SHAPE, target={"triple": folders.TRIPLE, **features})
    with pytest.raises(rt.WrongCpu, match="does not say which CPU features"):
        rt.Context().load_model(path)


@pytest.mark.parametrize("tree", ['{"leaf":9}', '{"tuple":[{"leaf":0},{"leaf":1}]}', '{"list":[' * 3000, "x"])
def test_a_result_structure_that_does_not_fit_the_outputs_is_refused(tree: str, tmp_path: Path) -> None:
    part = folders.Part(("x",), (), buffers=[folders.buffer("x", SHAPE, "border")])
    x = folders.tensor("x", SHAPE)
    path = folders.write(tmp_path, [part], [x], [x], out_tree=tree)
    with pytest.raises(rt.ArtifactError, match="out_tree"):
        rt.Context().load_model(path)


def test_code_for_another_architecture_is_refused(tmp_path: Path) -> None:
    target = {"triple": "sparc64-linux-gnu", "features": []}
    with pytest.raises(rt.WrongCpu, match="sparc64"):
        rt.Context().load_model(folders.simple(tmp_path, SHAPE, target=target))


def test_an_edited_kernel_is_refused(tmp_path: Path) -> None:
    path = folders.simple(tmp_path, SHAPE)
    kernel = path / "Subgraph_0" / "add.so"
    data = bytearray(kernel.read_bytes())
    data[-1] ^= 1
    kernel.write_bytes(data)
    with pytest.raises(rt.ArtifactError, match=r"add\.so"):
        rt.Context().load_model(path)


def test_the_digest_ties_the_folder_to_its_maker(tmp_path: Path) -> None:
    path = folders.simple(tmp_path, SHAPE)
    digest = digest_of(path)
    assert rt.Context().load_model(path, digest=digest).digest == digest
    with pytest.raises(rt.ArtifactError, match="digest"):
        rt.Context().load_model(path, digest="0" * 64)


def test_a_kernel_that_is_no_shared_object_is_named(tmp_path: Path) -> None:
    with pytest.raises(rt.KernelRefused, match=r"add\.so"):
        rt.Context().load_model(folders.simple(tmp_path, SHAPE, kernels={"add": b"text"}))


def test_a_kernel_that_fails_surfaces_with_its_subgraph_and_ops(tmp_path: Path) -> None:
    """The kernel was compiled for other shapes than the manifest states: it refuses its arguments itself."""
    path = folders.simple(tmp_path, SHAPE, kernels={"add": kernels.add((5, 8))})
    model = rt.Context().load_model(path)
    with pytest.raises(rt.KernelFailed, match="subgraph_0.*__tvm_ffi_add.*shape") as error:
        model(ONES, ONES)
    assert [p.subject for p in error.value.problems] == ["add_op"]
    request = model.create_request()
    request.set_inputs([ONES, ONES])
    request.infer()
    with pytest.raises(rt.KernelFailed):
        request.wait()


def test_the_null_backend_loads_and_says_that_it_runs_nothing(tmp_path: Path) -> None:
    model = rt.Context().load_model(folders.simple(tmp_path, SHAPE, backend="null", devices=("TPU:0",)))
    with pytest.raises(rt.UserError, match="null backend"):
        model(ONES, ONES)


def test_the_reference_backend_runs_its_text(tmp_path: Path) -> None:
    text = """graph subgraph_0(%x: f32[4,8], %y: f32[4,8]) -> (%z)
  %p = param "p" : f32[4,8]
  %t = mul_0: mul(%x, %p) : f32[4,8]
  %z = add_1: add(%t, %y) {alpha=1} : f32[4,8]
"""
    p = folders.constant("p", np.full(SHAPE, 3, np.float32))
    part = {
        "backend": "reference",
        "devices": ("HEXAGON:0",),
        "files": {"graph.txt": text.encode()},
        "constants": [p],
        "meta": {"constants": [{"name": "p", "key": p.key}]},
    }
    model = rt.Context().load_model(folders.simple(tmp_path, SHAPE, **part))
    np.testing.assert_array_equal(model(ONES, ONES), ONES * 4)
    seen = model.trace({"x": ONES, "y": ONES})
    np.testing.assert_array_equal(seen["t"], ONES * 3)
    assert set(seen) == {"x", "y", "t", "z"}


@pytest.mark.parametrize("extension", ["no_such_module_anywhere", ModuleType("empty"), "json"])
def test_what_is_no_backend_is_refused_as_an_extension(extension: Any) -> None:
    with pytest.raises(rt.ExtensionError):
        rt.Context().load_extension(extension)


def test_the_log_goes_to_the_file_and_bad_settings_are_refused(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    rt.Context(verbosity=rt.LogLevel.DEBUG, log_path=log).load_model(folders.simple(tmp_path, SHAPE))
    text = log.read_text()
    assert "loaded Net" in text and "1 kernels, 1 calls on X64:0" in text
    with pytest.raises(rt.UserError, match="log file"):
        rt.Context(log_path=tmp_path / "absent" / "run.log")
    with pytest.raises(rt.UserError, match="log level"):
        rt.Context(verbosity=17)  # type: ignore[arg-type]
    with pytest.raises(rt.UserError, match="threads"):
        rt.Context(threads=0)


# ---- the LLVM subgraph's own meta


def view(**changes: Any) -> SubgraphView:
    shape = (4, 8)
    part = folders.Part(
        ("x",), ("z",),
        buffers=[
            folders.buffer("x", shape, "border"),
            folders.buffer("s", shape, "scratch", offset=64),
            folders.buffer("flat", (32,), "alias", alias_of="s"),
            folders.buffer("z", shape, "border"),
        ],
        calls=[folders.call("double", "x", "s"), folders.call("double", "s", "z")],
        kernels={"double": kernels.scale(shape, 2.0, "double")},
        arena_bytes=192,
    )  # fmt: skip
    meta = {**part.meta_of("subgraph_0"), **changes}
    types = dict.fromkeys("xz", TensorType(shape, "float32"))
    return SubgraphView("subgraph_0", meta, {"double.so": part.kernels["double"]}, {}, ("x",), ("z",), types)


ENV = LoadEnv(threads=1, fallback=False, log=logging.getLogger("test"))
X64 = DeviceRef.parse("X64:0")


def test_the_view_as_it_is_loads() -> None:
    assert load(view(), X64, ENV).meta.name == "subgraph_0"


def with_buffer(name: str, changes: dict[str, Any]) -> SubgraphView:
    buffers = view().meta["buffers"]
    return view(buffers=[{**b, **changes} if b["name"] == name else b for b in buffers])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kernel_abi": 2}, "kernel_abi"),
        ({"format_version": 9}, "format_version"),
        ({"surprise": 1}, "surprise"),
        ({"arena_bytes": 191}, "s .*191 bytes of arena"),
        ({"arena_bytes": -1}, "arena_bytes"),
        (("s", {"offset": 32}), "s .*byte 32"),
        (("s", {"offset": -64}), "s .*byte -64"),
        (("s", {"shape": [4, 800]}), "s .*arena"),
        (("s", {"shape": [-4, 8]}), "negative"),
        (("s", {"dtype": "float31"}), "dtype"),
        (("s", {"kind": "constant"}), "constant"),
        (("flat", {"shape": [33]}), "flat .*another size"),
        (("flat", {"dtype": "int32"}), "flat .*dtype"),
        (("flat", {"alias_of": "nothing"}), "flat .*no memory"),
        (("flat", {"alias_of": "flat"}), "flat .*no memory"),
        (("z", {"name": "x"}), "2 buffers"),
        (("z", {"kind": "scratch"}), "z .*without a border buffer"),
        ({"kernels": []}, "there is no kernel double"),
        ({"kernels": [{"name": "double", "file": "../x", "symbol": "s"}]}, "not in the folder"),
        ({"calls": [folders.call("double", "x", "nowhere")]}, "no buffer nowhere"),
        ({"calls": [folders.call("double", "x", "z", channels=16)]}, "does not hold 16 channels"),
        ({"copies": [["z", "nowhere"]]}, "cannot be a copy"),
        ({"copies": [["z", "z"]]}, "z .*cannot be a copy of z"),
    ],
)
def test_a_meta_that_would_leave_its_buffers_is_refused(changes: Any, reason: str) -> None:
    edited = view(**changes) if isinstance(changes, dict) else with_buffer(*changes)
    with pytest.raises(BadSubgraph, match=reason):
        load(edited, X64, ENV)


def test_a_symbol_that_is_not_in_the_kernel_is_refused() -> None:
    kernel = {"name": "double", "file": "double.so", "symbol": "__tvm_ffi_triple"}
    with pytest.raises(rt.KernelRefused, match="__tvm_ffi_triple"):
        load(view(kernels=[kernel]), X64, ENV)


def test_buffers_that_do_not_fit_are_not_bound() -> None:
    executable = load(view(), X64, ENV)
    with pytest.raises(rt.UserError) as error:
        executable.bind({"x": np.zeros((4, 8), np.float64)})
    assert [p.subject for p in error.value.problems] == ["x", "z"]


def test_a_border_that_nothing_makes_is_refused(tmp_path: Path) -> None:
    x = folders.tensor("x", SHAPE)
    part = folders.Part(("ghost",), ("z",), backend="null")
    with pytest.raises(rt.ArtifactError, match="ghost") as error:
        rt.Context().load_model(folders.write(tmp_path, [part], [x], [folders.tensor("q", SHAPE)]))
    assert {p.subject for p in error.value.problems} == {"ghost", "z", "q"}


def test_a_constant_of_another_shape_is_refused(tmp_path: Path) -> None:
    c = folders.constant("c", np.zeros(3, np.float32))
    path = folders.write(tmp_path, [], [], [folders.tensor("c", (4,))], constants={"c": c})
    with pytest.raises(rt.ArtifactError, match="another shape"):
        rt.Context().load_model(path)
    assert replace(c, name="d").key == c.key


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": None}, "path +is None"),
        ({"path": 5}, "path +is 5"),
        ({"digest": 5}, "digest +is a int"),
        ({"fallback": "3fa9"}, "fallback +is '3fa9'"),
        ({"simulate": 1}, "simulate +is 1"),
    ],
)
def test_arguments_of_another_type(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = folders.write(tmp_path, [folders.Part((), ())], [], [])
    with pytest.raises(rt.OptionError, match=said):
        rt.Context().load_model(**{"path": path, **change})


def test_a_digest_in_the_place_of_fallback_is_not_taken_for_true(tmp_path: Path) -> None:
    path = folders.write(tmp_path, [folders.Part((), ())], [], [])
    with pytest.raises(rt.OptionError, match="fallback"):
        rt.Context().load_model(path, "0" * 64)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", [{"log_path": 5}, {"log_path": "a\0b"}, {"threads": "2"}, {"threads": 1.5}, {"threads": True}]
)
def test_a_context_of_nonsense(given: dict[str, Any]) -> None:
    with pytest.raises(rt.OptionError, match=next(iter(given))):
        rt.Context(**given)


def test_arguments_that_are_no_collection_of_arrays(tmp_path: Path) -> None:
    model = rt.Context().load_model(folders.write(tmp_path, [folders.Part((), ())], [], []))
    nonsense: tuple[Any, ...] = (None, 5, {1: 2}, object())
    for value in nonsense:
        with pytest.raises(rt.InputError):
            model.flatten_inputs(value)
    for value in (None, 5, [1], object()):
        with pytest.raises(rt.InputError):
            model.run_flat(value)
        with pytest.raises(rt.InputError):
            model.trace(value)


@pytest.mark.parametrize("step", ["bind", "trace"])
def test_what_a_library_raises_beside_running_names_the_subgraph_too(tmp_path: Path, step: str) -> None:
    class Breaks:
        def bind(self, borders: object) -> Breaks:
            if step == "bind":
                raise RuntimeError("no room on the device")
            return self

        def trace(self) -> dict[str, Any]:
            raise RuntimeError("no room on the device")

    extension = ModuleType("breaks")
    vars(extension).update(NAME="breaks", load=lambda view, device, env: Breaks())
    extension.load.__module__ = __name__
    context = rt.Context()
    context.load_extension(extension)
    model = context.load_model(folders.write(tmp_path, [folders.Part((), (), backend="breaks")], [], []))
    with pytest.raises(rt.SubgraphFailed, match="subgraph_0 failed on X64:0: RuntimeError: no room on the device"):
        model.trace({})
