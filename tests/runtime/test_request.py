"""Requests: not blocking, one inference at a time, time-outs in milliseconds, callbacks, errors."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optima.runtime as rt
from tests.runtime import folders, gated_backend

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Boom(Exception):
    pass


@pytest.fixture
def model(tmp_path: Path) -> rt.Model:
    part = folders.Part(("x",), ("z",), backend="gated", meta={}, devices=("MALI:3",), target={})
    path = folders.write(
        tmp_path, [part], [folders.tensor("x", (2, 3))], [folders.tensor("z", (2, 3))], request_bytes=1000
    )
    context = rt.Context()
    assert context.load_extension(gated_backend) == "gated"
    return context.load_model(path)


@pytest.fixture
def gated(model: rt.Model) -> gated_backend.Gated:
    executable: Any = model._loaded.subgraphs[0].executable
    assert isinstance(executable, gated_backend.Gated)
    return executable


@pytest.fixture
def request_(model: rt.Model) -> rt.InferRequest:
    request = model.create_request()
    request.set_inputs(X)
    return request


def test_infer_does_not_block_and_wait_times_out_in_milliseconds(
    request_: rt.InferRequest, gated: gated_backend.Gated
) -> None:
    gated.open.clear()
    request_.infer()
    start = time.monotonic()
    assert request_.wait(1) is True
    assert request_.wait(20.5) is True
    assert 0.02 <= time.monotonic() - start < 10
    gated.open.set()
    assert request_.wait(60_000) is False
    assert request_.wait() is False
    np.testing.assert_array_equal(request_.get_outputs()[0], X * 2)


def test_a_running_request_takes_nothing_and_gives_nothing(
    request_: rt.InferRequest, gated: gated_backend.Gated
) -> None:
    gated.open.clear()
    request_.infer()
    tensor = request_.get_input_tensor(0)
    for action in (
        request_.infer,
        request_.get_outputs,
        lambda: request_.set_inputs(X),
        lambda: tensor.copy_from(X),
        tensor.to_numpy,
        request_.get_output_tensor(0).to_numpy,
        lambda: request_.profile_data,
    ):
        with pytest.raises(rt.RequestError, match="running"):
            action()
    gated.open.set()
    assert request_.wait() is False
    np.testing.assert_array_equal(request_.get_output_tensor("z").to_numpy(), X * 2)


def test_before_any_inference_there_is_nothing_to_wait_for_or_read(model: rt.Model) -> None:
    request = model.create_request()
    assert request.wait() is False
    with pytest.raises(rt.RequestError, match="no results yet"):
        request.get_outputs()
    with pytest.raises(rt.RequestError, match="'x'"):
        request.infer()
    with pytest.raises(rt.RequestError, match="not set"):
        request.get_input_tensor("x").to_numpy()
    request.get_input_tensor("x").copy_from(X)
    request.infer()
    assert request.wait() is False


@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", None, True])
def test_a_bad_timeout_is_refused(request_: rt.InferRequest, timeout: Any) -> None:
    with pytest.raises(rt.UserError, match="milliseconds"):
        request_.wait(timeout)


def test_what_the_inference_raised_comes_out_of_wait_until_the_next(
    request_: rt.InferRequest, gated: gated_backend.Gated
) -> None:
    gated.raises = Boom("no")
    request_.infer()
    for action in (request_.wait, request_.wait, request_.get_outputs, lambda: request_.profile_data):
        with pytest.raises(rt.SubgraphFailed, match="subgraph_0 failed on .*: Boom: no") as error:
            action()
        assert isinstance(error.value.__cause__, Boom)
    gated.raises = None
    request_.infer()
    assert request_.wait() is False
    assert len(request_.get_outputs()) == 1


def test_inputs_stay_for_the_next_inference(request_: rt.InferRequest) -> None:
    for _ in range(3):
        request_.infer()
        request_.wait()
    np.testing.assert_array_equal(request_.get_outputs()[0], X * 2)
    np.testing.assert_array_equal(request_.get_input_tensor(0).to_numpy(), X)


def test_the_callback_runs_once_per_inference_off_the_callers_thread(request_: rt.InferRequest) -> None:
    calls: list[tuple[Any, int, Any]] = []

    def callback(userdata: Any) -> None:
        assert request_.wait() is False  # inside the callback the result is there
        calls.append((userdata, threading.get_ident(), request_.get_outputs()[0]))

    request_.set_callback(callback, "mine")
    for count in (1, 2, 3):
        request_.infer()
        assert request_.wait() is False
        assert len(calls) == count
    assert {c[0] for c in calls} == {"mine"}
    assert threading.get_ident() not in {c[1] for c in calls}
    request_.set_callback(None)
    request_.infer()
    request_.wait()
    assert len(calls) == 3


def test_a_callback_may_start_the_next_inference(request_: rt.InferRequest) -> None:
    left = [5]

    def callback(userdata: Any) -> None:
        left[0] -= 1
        if left[0]:
            request_.infer()

    request_.set_callback(callback)
    request_.infer()
    assert request_.wait(60_000) is False
    assert left == [0]


def test_a_failed_inference_calls_back_too_and_a_raising_callback_is_logged(
    request_: rt.InferRequest, gated: gated_backend.Gated, caplog: pytest.LogCaptureFixture
) -> None:
    gated.raises = Boom("from the inference")
    request_.set_callback(lambda userdata: 1 / 0)
    with caplog.at_level(logging.ERROR):
        request_.infer()
        with pytest.raises(rt.SubgraphFailed):
            request_.wait()
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(rt.UserError):
        request_.set_callback("not a function")  # type: ignore[arg-type]


def test_outputs_cannot_be_written(request_: rt.InferRequest) -> None:
    with pytest.raises(rt.RequestError, match="output"):
        request_.get_output_tensor(0).copy_from(X)


def test_profile_data_covers_subgraphs_and_kernels(tmp_path: Path) -> None:
    request = rt.Context().load_model(folders.rich(tmp_path)).create_request()
    request.set_inputs([np.ones((16, 32), np.float32)] * 2)
    request.infer()
    request.wait()
    profile = request.profile_data
    assert [p.name for p in profile.subgraphs] == ["subgraph_0", "subgraph_1"]
    assert [k.name for k in profile.subgraphs[0].kernels] == ["add", "double", "triple"]
    for part in profile.subgraphs:
        assert part.us > 0 and 0 < sum(k.us for k in part.kernels) <= part.us
    assert profile.us >= sum(p.us for p in profile.subgraphs)
    assert "subgraph_1" in str(profile) and "triple" in str(profile)


def test_requests_of_one_model_run_at_once_and_do_not_mix(tmp_path: Path) -> None:
    shape = (64, 256)
    model = rt.Context().load_model(folders.simple(tmp_path, shape))
    requests = [model.create_request() for _ in range(16)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        inputs = rng.normal(size=(16, 2, *shape)).astype(np.float32)
        for request, (x, y) in zip(requests, inputs, strict=True):
            request.set_inputs({"left": x, "right": y})
            request.infer()
        for request, (x, y) in zip(requests, inputs, strict=True):
            assert request.wait(60_000) is False
            np.testing.assert_array_equal(request.get_outputs()[0], x + y)


def test_two_requests_are_inside_the_backend_at_the_same_time(model: rt.Model, gated: gated_backend.Gated) -> None:
    gated.open.clear()
    requests = [model.create_request() for _ in range(40)]
    for i, request in enumerate(requests):
        request.set_inputs(X + i)
        request.infer()
    gated.open.set()
    for i, request in enumerate(requests):
        assert request.wait(60_000) is False
        np.testing.assert_array_equal(request.get_outputs()[0], (X + i) * 2)
    names = [t.name for t in threading.enumerate() if t.name.startswith("optima-dispatch")]
    assert len(names) <= 64
