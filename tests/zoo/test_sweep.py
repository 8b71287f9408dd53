"""The sweep's own behaviour, on a list that has one model for each thing that may become of a model."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from optima.verification import distances
from zoo.entry import entries
from zoo.measure import _is_as_accurate, _Subject
from zoo.page import page
from zoo.process import Settings, list_names, run_one
from zoo.randomize import randomize
from zoo.result import CRASHED, EQUAL, NOT_RUN, REFUSED, TOLERANCES, WRONG, Result, tolerance_of

ROOT = Path(__file__).resolve().parents[2]
STRANGER = str(Path(__file__).with_name("models_of_a_stranger.py"))
SETTINGS = Settings(STRANGER, timeout_s=120.0, compile_workers=1)


def sweep(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zoo.sweep", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_names_of_another_list_are_read_in_its_order() -> None:
    names = list_names(SETTINGS)
    assert names[:2] == [("good", "sums"), ("refused", "sums")] and len(names) == 7
    assert list_names(Settings(STRANGER + ":SMALLER")) == [("good", "")]
    with pytest.raises(ValueError, match="no mapping named NOTHING"):
        list_names(Settings(STRANGER + ":NOTHING"))


def test_a_good_model_has_every_number() -> None:
    row = run_one("good", "sums", SETTINGS)
    assert (row.status, row.reason, row.stage) == (EQUAL, "", "")
    assert (row.nodes, row.ops, row.kernels, row.calls) == (6, 2, 1, 1)
    assert row.error <= row.tolerance == TOLERANCES["shallow"]
    for number in (row.ours, row.eager, row.export_s, row.convert_s, row.compile_s, row.memory, row.worker_memory):
        assert number > 0


@pytest.mark.parametrize(
    ("name", "status", "stage", "reason"),
    [
        ("refused", REFUSED, "convert", "depends on the data"),
        ("wrong", WRONG, "run", r"output 0: differs by .* of its scale"),
        ("dies", CRASHED, "eager", "ended with -11"),
        ("absent", NOT_RUN, "eager", "make zoo-env"),
    ],
)
def test_what_may_become_of_a_model(name: str, status: str, stage: str, reason: str) -> None:
    row = run_one(name, "", SETTINGS)
    assert (row.status, row.stage) == (status, stage), row
    assert re.search(reason, row.reason), row.reason


def test_a_model_that_torch_cannot_trace_is_refused_and_nothing_of_torch_leaks() -> None:
    row = run_one("untraceable", "", SETTINGS)
    assert (row.status, row.stage) == (REFUSED, "convert"), row


def test_a_model_that_hangs_is_ended() -> None:
    row = run_one("hangs", "", Settings(STRANGER, timeout_s=3.0))
    assert (row.status, row.reason) == (CRASHED, "no end in 3 s")


def test_the_command_resumes_writes_a_page_and_fails_for_a_wrong_model(tmp_path: Path) -> None:
    held, written = tmp_path / "rows.jsonl", tmp_path / "page.md"
    names = [name for name, _ in list_names(Settings(STRANGER)) if name != "refused"]
    rows = [json.dumps({"name": name, "family": "sums", "status": EQUAL, "ops": 2}) for name in names]
    held.write_text("".join(f"{row}\n" for row in rows))
    arguments = ("--from", STRANGER, "--results", str(held), "--untimed")
    done = sweep(*arguments, "--write", str(written))
    assert done.returncode == 0, done.stderr
    assert "refused  refused" in done.stdout and "equal    good" not in done.stdout
    assert f"{len(names)} of {len(names) + 1} models are equal to eager, 1 refused." in written.read_text()
    assert len(held.read_text().splitlines()) == len(names) + 1
    assert sweep("wrong", "--from", STRANGER, "--untimed").returncode == 1
    assert sweep("nobody", *arguments).returncode == 2
    assert sweep("good", *arguments, "--write", str(written)).returncode == 2


def test_the_page_escapes_reasons_and_names_no_folder() -> None:
    rows = [Result("a", "f", EQUAL, ours=0.001, eager=0.002), Result("b", "f", REFUSED, "x | <y>")]
    text = page(rows, source="/x/z.py")
    assert "| a |" in text and "| 0.50 |" in text and "x \\| &lt;y>" in text and "/x/" not in text


def test_the_tolerance_is_that_of_the_narrowest_type() -> None:
    assert tolerance_of(frozenset({"float32"}), 49) == TOLERANCES["shallow"]
    assert tolerance_of(frozenset({"float32", "int64"}), 50) == TOLERANCES["deep"]
    assert tolerance_of(frozenset({"float32", "float16"}), 3) == TOLERANCES["float16"]
    assert tolerance_of(frozenset({"float16", "bfloat16"}), 3) == TOLERANCES["bfloat16"]


def test_nothing_stays_trivial_and_every_run_is_the_same() -> None:
    def made() -> nn.Module:
        torch.manual_seed(0)
        parts = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.Flatten(), nn.LayerNorm(16))
        module = nn.Sequential(*parts).eval()
        randomize(module, lambda: module(torch.ones(2, 3, 4, 4)))
        return module

    first, second = made().state_dict(), made().state_dict()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        assert value.numel() == 1 or len(value.unique()) > 1, name


def test_names_are_unique_and_there_are_enough() -> None:
    assert len(entries()) >= 98


@pytest.mark.parametrize(
    ("name", "library"), [("own.espcn", "torch"), ("tv.squeezenet1_1", "torchvision"), ("hf.bert_mask", "transformers")]
)
def test_a_real_model_is_equal_to_eager(name: str, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: make zoo-env")
    row = run_one(name, "", Settings(compile_workers=1))
    assert row.status == EQUAL, row


class Draws(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


def test_what_float64_says_of_a_model() -> None:
    x = torch.linspace(0.1, 1, 5)
    subject = _Subject(nn.Softplus().eval(), (x,), {})
    subject.expected = subject.run()
    assert subject.exact is not None and subject.exact[0].dtype == torch.float64
    assert distances(subject.exact[0], subject.expected[0], subject.expected[0] + 1) is not None
    drawing = _Subject(Draws(), (x,), {})
    drawing.expected = drawing.run()
    assert drawing.exact is None


def test_as_accurate_is_about_eagers_distance_and_that_is_small() -> None:
    assert _is_as_accurate((1e-3, 2e-3), 1e-2)
    assert not _is_as_accurate((1e-3, 2.1e-3), 1e-2)
    assert not _is_as_accurate((0.5, 0.5), 1e-2)


def test_distances_need_numbers_in_the_same_places() -> None:
    exact, want = torch.tensor([1.0, torch.inf]).double(), torch.tensor([1.5, torch.inf])
    assert distances(exact, want, torch.tensor([1.25, torch.inf])) == (0.5, 0.25)
    assert distances(exact, want, torch.tensor([1.25, 3.0])) is None
    assert distances(exact, want, torch.tensor([torch.nan, torch.inf])) is None
    assert distances(exact, want, torch.tensor([1.25])) is None
