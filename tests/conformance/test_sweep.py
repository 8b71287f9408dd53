"""The check must be able to fail, and a process that dies or hangs is a verdict."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("expecttest", reason="PyTorch's op_db imports expecttest")

from conformance import check as checking  # noqa: E402
from conformance.check import CRASHED, EQUAL, NOT_RUN, RANDOM, REFUSED, WRONG  # noqa: E402
from conformance.samples import Call, Sample  # noqa: E402
from conformance.sweep import sweep  # noqa: E402


def sample(function: Any, *args: torch.Tensor) -> Sample:
    return Sample(0, Call(function, args, {}).eval(), args, None)


def test_equal() -> None:
    assert checking.check(sample(torch.add, torch.rand(3), torch.rand(3))).status == EQUAL


def test_another_answer_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    right = checking._compiled
    monkeypatch.setattr(checking, "_compiled", lambda s: [t + 1e-3 for t in right(s)])
    assert checking.check(sample(torch.add, torch.rand(3), torch.rand(3))).status == WRONG


def test_another_dtype_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    right = checking._compiled
    monkeypatch.setattr(checking, "_compiled", lambda s: [t.double() for t in right(s)])
    assert checking.check(sample(torch.add, torch.rand(3), torch.rand(3))).status == WRONG


def test_a_missing_output_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_compiled", lambda s: [])
    assert checking.check(sample(torch.add, torch.rand(3), torch.rand(3))).status == WRONG


def test_no_operator_is_a_refusal_with_its_reason() -> None:
    outcome = checking.check(sample(torch.linalg.svdvals, torch.rand(3, 3)))
    assert outcome.status == REFUSED and "UnsupportedOp" in outcome.reason


def test_random_numbers_are_not_compared() -> None:
    outcome = checking.check(sample(lambda x: torch.nn.functional.dropout(x, 0.5, training=True), torch.rand(3)))
    assert outcome.status == RANDOM and "at random" in outcome.reason


def test_an_untyped_error_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Sample) -> list[torch.Tensor]:
        raise KeyError("x")

    monkeypatch.setattr(checking, "_compiled", broken)
    assert checking.check(sample(torch.add, torch.rand(3), torch.rand(3))).status == CRASHED


def test_what_pytorch_refuses_is_not_run() -> None:
    assert checking.check(sample(torch.add, torch.rand(3), torch.rand(4))).status == NOT_RUN


def test_an_answer_as_near_as_eagers_is_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    # The sum cancels: eager's own distance from the exact result is far above the usual tolerance.
    x = torch.tensor([1e8, 1.0, -1e8, 1.0])
    monkeypatch.setattr(checking, "_compiled", lambda s: [torch.tensor(2.0)])
    assert checking.check(sample(torch.sum, x)).status == EQUAL


def test_a_hanging_and_a_good_entry() -> None:
    verdicts = sweep([("linalg.eig", "float32"), ("neg", "float32")], limit=1, workers=1, timeout_s=0.01)
    assert [v.status for v in verdicts] == [CRASHED, CRASHED]
    assert "no answer" in verdicts[0].reason
