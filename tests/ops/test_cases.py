"""Every operator case against torch, and what the case files and the entries must keep to."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.ops
from optima.ops import all_entries, entry_of
from optima.ops.entry import REQUIRED, Answer, No, OpEntry, OpView, Te
from tests.ops.case import OpCase
from tests.ops.harness import check_case

_MODULES = [
    importlib.import_module(f"tests.ops.{m.name}")
    for m in pkgutil.iter_modules(tests.ops.__path__)
    if m.name.startswith("cases_")
]
CASES: list[OpCase] = [case for module in _MODULES for case in module.CASES]
REFUSED: list[OpCase] = [case for module in _MODULES for case in getattr(module, "REFUSED", ())]
#: torch 2.13 gives an empty input of pixel_unshuffle its own shape, which its type rule contradicts
_NOT_EMPTY = ("pixel_unshuffle",)
#: torchvision's, which need not be installed
_NOT_ATENS = ("nms",)
KERNEL_ENTRIES = [e for e in all_entries() if isinstance(e.te, Te) and not e.internal]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_the_kernel_gives_torchs_answer(case: OpCase) -> None:
    answer = _answer(case)
    assert answer, answer
    check_case(case)


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: c.id)
def test_what_is_not_handled_is_refused_with_a_reason(case: OpCase) -> None:
    answer = _answer(case)
    assert isinstance(answer, No)
    assert len(answer.reason) > 5


def _answer(case: OpCase) -> Answer:
    graph = case.graph()
    entry = entry_of(case.op)
    assert entry is not None
    return entry.kernel_answer(OpView.of(graph, graph.ops[0]))


@pytest.mark.parametrize("entry", KERNEL_ENTRIES, ids=lambda e: e.name)
def test_each_kernel_has_three_cases_one_of_them_empty_or_0_d(entry: OpEntry) -> None:
    mine = [case for case in CASES if case.op == entry.name]
    assert len(mine) >= 3
    smallest = any(0 in arg.shape or arg.shape == () for case in mine for arg in case.args)
    assert smallest or entry.name in _NOT_EMPTY


@pytest.mark.parametrize("entry", [e for e in all_entries() if not e.internal], ids=lambda e: e.name)
def test_attributes_and_defaults_are_atens(entry: OpEntry) -> None:
    import torch

    if entry.name in _NOT_ATENS:
        return
    packet = getattr(torch.ops.aten, entry.name)
    schemas = [getattr(packet, overload)._schema for overload in packet.overloads()]
    for key, default in entry.attrs.items():
        arguments = [a for schema in schemas for a in schema.arguments if a.name == key]
        assert arguments, f"{entry.name} has no argument {key!r}"
        if default is REQUIRED or any(key not in [a.name for a in s.arguments] for s in schemas):
            continue  # where an overload does without it, the default is what its absence means
        defaults = [a.default_value for a in arguments if a.has_default_value()]
        plain = [tuple(d) if isinstance(d, list) else d for d in defaults]
        assert default is None or default in plain, f"{entry.name}.{key}: {default!r} is not among {plain}"


def test_case_ids_are_distinct() -> None:
    ids = [case.id for case in CASES]
    assert sorted(set(ids)) == sorted(ids)
