"""The map against the graph, ``device_info`` and the backends: all faults at once, each with its edit."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from devices import DeviceEnum, DeviceRef, UserError
from optima.allocation import AllocationError, RawMap, UnsupportedPlacement, allocate
from optima.graph import Graph, Op, Origin, Tensor, TensorType
from optima.ops.entry import Answer, No, Yes
from torch2nx.errors import UnsupportedOp

X64, HEXAGON, MYRIAD = (
    DeviceEnum.DEVICE_KIND_X64, DeviceEnum.DEVICE_KIND_HEXAGON, DeviceEnum.DEVICE_KIND_MYRIAD,
)  # fmt: skip
ORIGIN = Origin("model.py", 41, "Warp.forward", "encoder.warp", "y = F.grid_sample(x, grid)")


def chain(count: int = 4) -> Graph:
    """conv2d_1 -> conv2d_3 -> ...; each op ``conv2d_n`` makes ``tensor_n+1``."""
    numbers = range(1, 2 * count, 2)
    kind = TensorType((1,), "float32")
    ops = tuple(
        Op(f"conv2d_{n}", "conv2d", (f"tensor_{n - 1}",), ("input",), (f"tensor_{n + 1}",), {}, (ORIGIN,))
        for n in numbers
    )
    names = [f"tensor_{n}" for n in range(0, 2 * count + 1, 2)]
    return Graph("net", ops, {n: Tensor(n, kind) for n in names}, (names[0],), (names[-1],))


GRAPH = chain()
NAMES = [op.name for op in GRAPH.ops]
GOOD = dict.fromkeys(NAMES, "X64:0")


def backend_name(ref: DeviceRef) -> str:
    return {X64: "llvm", HEXAGON: "snpe"}.get(ref.kind, "")


def check(names: Sequence[str], ref: DeviceRef) -> Mapping[str, Answer]:
    """HEXAGON takes everything but conv2d_3."""
    refused = No("no ONNX emission at opset 17")
    return {n: refused if ref.kind is HEXAGON and n == "conv2d_3" else Yes() for n in names}


def place(
    raw: RawMap | Mapping[Any, object], device_info: Any = (X64, HEXAGON), graph: Graph = GRAPH
) -> dict[str, tuple[DeviceRef, ...]]:
    return allocate(graph, raw, device_info, check, backend_name)


def refusal(
    raw: RawMap | Mapping[Any, object], device_info: Any = (X64, HEXAGON), graph: Graph = GRAPH
) -> AllocationError:
    with pytest.raises(AllocationError) as caught:
        place(raw, device_info, graph)
    assert caught.value.hint
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301
    return caught.value


def mended(raw: Mapping[Any, object], error: AllocationError) -> dict[Any, object]:
    """The map after its JSON merge patch (RFC 7396)."""
    patched = {**raw, **error.patch}
    return {key: value for key, value in patched.items() if value is not None}


def test_devices_and_preference_lists() -> None:
    placed = place({**GOOD, "conv2d_1": ["HEXAGON:1", "X64:7"], "conv2d_3": ["X64:0"]})
    assert list(placed) == NAMES
    assert placed["conv2d_1"] == (DeviceRef(HEXAGON, 1), DeviceRef(X64, 7))
    assert placed["conv2d_3"] == placed["conv2d_5"] == (DeviceRef(X64, 0),)


def test_an_empty_graph_takes_an_empty_map() -> None:
    empty = replace(GRAPH, ops=(), outputs=GRAPH.inputs)
    assert place({}, graph=empty) == {}
    assert "conv2d_1" in str(refusal(GOOD, graph=empty))


def test_unsupported_ops_look_as_the_design_says() -> None:
    error = refusal({**GOOD, "conv2d_3": "HEXAGON:0"})
    assert isinstance(error, UnsupportedPlacement) and isinstance(error, UnsupportedOp)
    assert str(error).splitlines() == [
        "1 operator cannot run on HEXAGON:0",
        "  conv2d_3   model.py:41 in Warp.forward (encoder.warp)   no ONNX emission at opset 17",
        "      y = F.grid_sample(x, grid)",
        'hint: move them:  {"conv2d_3": "X64:0"}',
    ]


def test_an_unsupported_choice_leaves_the_list() -> None:
    raw = {**GOOD, "conv2d_3": ["HEXAGON:0", "X64:3"]}
    assert refusal(raw).patch == {"conv2d_3": "X64:3"}


def test_an_op_that_no_allowed_kind_takes_needs_another_kind() -> None:
    error = refusal({**GOOD, **dict.fromkeys(NAMES, "HEXAGON:0")}, [HEXAGON])
    assert error.patch == {}
    assert "pass device_info=[DeviceEnum.DEVICE_KIND_HEXAGON, DeviceEnum.DEVICE_KIND_X64]" in error.hint


def test_an_op_that_nothing_takes_is_the_models_to_change() -> None:
    def never(names: Sequence[str], ref: DeviceRef) -> Mapping[str, Answer]:
        return {name: No("no kernel route") for name in names}

    with pytest.raises(UnsupportedPlacement) as caught:
        allocate(GRAPH, GOOD, [X64], never, backend_name)
    assert "neither the map's devices nor X64 can run conv2d_1, conv2d_3" in caught.value.hint
    assert caught.value.patch == {}


def test_a_folded_op_has_no_answer_and_no_problem() -> None:
    assert allocate(GRAPH, GOOD, [X64], lambda names, ref: {}, backend_name).keys() == set(NAMES)


def test_a_misspelt_op_is_renamed() -> None:
    raw = {**GOOD, "conv_3": "X64:1"}
    del raw["conv2d_3"]
    error = refusal(raw)
    assert error.patch == {"conv_3": None, "conv2d_3": "X64:1"}
    assert "did you mean 'conv2d_3'" in str(error) and "has no entry, but 'conv_3' has one" in str(error)


def test_many_misspelt_ops_are_renamed_by_their_number() -> None:
    graph = chain(300)
    raw = {op.name.replace("conv2d", "conv"): "X64:1" for op in graph.ops}
    error = refusal(raw, graph=graph)
    assert error.patch == {**dict.fromkeys(raw), **{op.name: "X64:1" for op in graph.ops}}


def test_a_key_for_a_tensor_and_one_for_nothing() -> None:
    raw = {**GOOD, "tensor_4": "X64:0", "banana": "X64:0", "conv2d_11": "X64:0"}
    error = refusal(raw)
    assert "is a tensor, made by 'conv2d_3'" in str(error)
    assert error.patch == {"tensor_4": None, "banana": None, "conv2d_11": None}


def test_kinds_outside_device_info() -> None:
    error = refusal({**GOOD, "conv2d_5": "HEXAGON:0"}, [X64])
    assert error.message == "HEXAGON is not in device_info, which allows X64"
    assert error.problems[0].subject == "conv2d_5" and error.problems[0].where.startswith("model.py:41")
    assert error.patch == {"conv2d_5": "X64:0"}
    assert "or pass device_info=[DeviceEnum.DEVICE_KIND_X64, DeviceEnum.DEVICE_KIND_HEXAGON]" in error.hint


def test_a_kind_without_a_backend_is_refused() -> None:
    error = refusal({**GOOD, "conv2d_5": "NVIDIA:0"}, [X64, DeviceEnum.DEVICE_KIND_NVIDIA])
    assert error.message == "NVIDIA has no backend yet"
    assert error.patch == {"conv2d_5": "X64:0"}


@pytest.mark.parametrize(
    ("value", "reason", "edit"),
    [
        ("X64", "the index is missing", "X64:0"),
        ("x64:2", "did you mean \"X64:2\"", "X64:2"),
        ("HEXAGN:1", "did you mean \"HEXAGON:1\"", "HEXAGON:1"),
        ("X64:-1", "is not an index", "X64:0"),
        ("X64:01", "is not an index", "X64:1"),
        ("", "there is no kind", "X64:0"),
        ("banana", "the kinds are", "X64:0"),
        (3, "neither a device nor a list", "X64:0"),
        (None, "neither a device nor a list", "X64:0"),
        ({"a": 1}, "an object is neither", "X64:0"),
        ([], "the list of devices is empty", "X64:0"),
        ([["X64:0"]], "in the list is not a device", "X64:0"),
        ([3, "X64:4"], "3 in the list is not a device", "X64:4"),
        (["X64:1", "X64:1"], "X64:1 is in the list twice", "X64:1"),
        (["X64:1", "HEXAGON"], "the index is missing", ["X64:1", "HEXAGON:0"]),
    ],
)  # fmt: skip
def test_malformed_devices(value: object, reason: str, edit: object) -> None:
    raw = {**GOOD, "conv2d_7": value}
    error = refusal(raw)
    assert reason in str(error) and error.patch == {"conv2d_7": edit}
    place(mended(raw, error))


def test_duplicate_keys_and_their_lines() -> None:
    raw = RawMap((*GOOD.items(), ("conv2d_3", "X64:1")), "map.json", {"conv2d_3": (3, 6)})
    error = refusal(raw)
    assert "conv2d_3   occurs 2 times (lines 3, 6): keep one" in str(error)
    assert error.patch == {"conv2d_3": "X64:1"}


@pytest.mark.parametrize(
    ("device_info", "reason"),
    [
        (["X64"], "write DeviceEnum.DEVICE_KIND_X64"),
        ([DeviceRef(X64, 0), HEXAGON], "write DeviceEnum.DEVICE_KIND_X64"),
        (X64, "is not a list"),
        ("X64", "is not a list"),
        (None, "is not a list"),
        ([X64, 3], "'?3'? +is not a DeviceEnum"),
        ([], "device_info, which allows nothing"),
    ],
)
def test_device_info(device_info: object, reason: str) -> None:
    with pytest.raises(AllocationError, match=reason) as caught:
        place(GOOD, device_info)
    assert "device_info=[DeviceEnum.DEVICE_KIND_X64" in caught.value.hint


def test_all_kinds_of_fault_come_in_one_error() -> None:
    raw = RawMap(
        (
            ("conv2d_1", "X64"), ("conv2d_1", "NVIDIA:0"), ("conv2d_3", "HEXAGON:0"), ("cnv2d_5", "X64:1"),
            ("relu_90", "X64:0"), (7, "X64:0"), ("new\nline", "X64:0"), ("\ud800", "X64:0"),
        ),
        "map.json",
    )  # fmt: skip
    error = refusal(raw, [X64, HEXAGON, "MYRIAD"])
    assert error.message == "map.json cannot be used: 13 problems of 8 kinds"
    assert [group.title for group in error.groups] == [
        "device_info must be a list of DeviceEnum",
        "keys that occur more than once (1)",
        "malformed devices (1)",
        "keys that name no op of the graph (5)",
        "ops without a device (2)",
        "NVIDIA is not in device_info, which allows X64, HEXAGON, MYRIAD",
        "NVIDIA has no backend yet",
        "1 operator cannot run on HEXAGON:0",
    ]
    text = str(error)
    text.encode()  # a broken surrogate in a key must not break printing
    assert "'new\\nline'" in text
    assert sum(len(group.problems) for group in error.groups) == len(error.problems)


def test_long_lists_are_cut_in_the_text_only() -> None:
    graph = chain(400)
    error = refusal({}, [X64], graph)
    assert len(error.problems) == len(error.patch) == 400
    assert "... and 380 more" in str(error) and len(str(error)) < 6000
    place(dict(error.patch), [X64], graph)


def test_a_map_of_another_model_is_refused_quickly() -> None:
    """Near matches are looked for only as long as that is cheap."""
    graph = chain(5000)
    error = refusal({f"linear_{n}": "X64:0" for n in range(10_001, 20_001)}, [X64], graph)
    assert len(error.problems) == 15_000


def test_the_order_of_keys_does_not_change_what_is_asked_or_given() -> None:
    asked: list[tuple[tuple[str, ...], str]] = []

    def recording(names: Sequence[str], ref: DeviceRef) -> Mapping[str, Answer]:
        asked.append((tuple(names), str(ref)))
        return check(names, ref)

    raw = {"conv2d_1": "X64:0", "conv2d_3": "X64:1", "conv2d_5": ["HEXAGON:0", "X64:0"], "conv2d_7": "X64:0"}
    results = [
        allocate(GRAPH, dict(items), [X64, HEXAGON], recording, backend_name)
        for items in (raw.items(), reversed(raw.items()))
    ]
    assert list(results[0].items()) == list(results[1].items())
    assert asked[: len(asked) // 2] == asked[len(asked) // 2 :]
    assert len(asked) == 2 * 3, "one question per device"


VALUES = st.one_of(
    st.sampled_from(["X64:0", "X64:1", "HEXAGON:0", "ARM:0", "MYRIAD:2", "X64", "hexagon:1", "Z:0", ""]),
    st.lists(st.sampled_from(["X64:0", "HEXAGON:0", "TPU:0", "x64:0"]), max_size=3),
    st.none() | st.integers() | st.text(max_size=4),
)
KEYS = st.sampled_from([*NAMES, "conv_3", "conv2d5", "CONV2D_7", "tensor_2", "relu_9"]) | st.text(max_size=6)


@seed(6)
@settings(max_examples=300, deadline=None, database=None)
@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_the_patch_always_mends_the_map(raw: dict[str, object]) -> None:
    try:
        place(raw)
    except AllocationError as error:
        patch = json.loads(json.dumps(dict(error.patch)))
        assert str(error) and error.problems and isinstance(error, UserError)
        place({k: v for k, v in {**raw, **patch}.items() if v is not None})


def test_a_device_that_cannot_answer_is_no_home() -> None:
    def answers(names: Sequence[str], device: DeviceRef) -> Mapping[str, Answer]:
        if device.kind is HEXAGON:
            raise UserError("its tool is missing")
        return check(names, device)

    raw = {**GOOD, "conv2d_5": "ARM:0"}
    with pytest.raises(AllocationError) as refused:
        allocate(GRAPH, raw, [X64, HEXAGON], answers, backend_name)
    assert refused.value.patch == {"conv2d_5": "X64:0"}
