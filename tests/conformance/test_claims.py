"""One fixed sample of each proven claim, and the table's own rules. The whole sweep is ``python -m conformance``."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

pytest.importorskip("expecttest", reason="PyTorch's op_db imports expecttest")

from conformance import claims, page  # noqa: E402
from conformance.check import EQUAL, NOT_RUN, RANDOM, REFUSED, WRONG, Outcome, check  # noqa: E402
from conformance.entry import PROVEN, UNTESTED, Verdict, judge  # noqa: E402
from conformance.samples import DTYPES, is_unspecified, names, samples  # noqa: E402

CLAIMS = claims.read()
PROVEN_F32 = [c.name for c in CLAIMS.values() if (c.status, c.dtype) == (PROVEN, "float32")]

needs_table = pytest.mark.skipif(not CLAIMS, reason="no table yet: python -m conformance --update writes it")

#: from how many of an entry's first samples one is taken: another one for each entry, the same on each run
_FIRST = 6


def _outcomes(name: str) -> Iterator[Outcome]:
    every = samples(name, "float32")
    first = list(islice(every, _FIRST))
    start = zlib.crc32(name.encode()) % len(first)
    return (check(sample) for sample in chain(first[start:], first[:start], every))


@pytest.mark.parametrize("name", PROVEN_F32)
def test_a_proven_claim_holds(name: str) -> None:
    # A sample that PyTorch does not run, or that is random, gives its place to the next.
    assert next(o for o in _outcomes(name) if o.status not in (NOT_RUN, RANDOM)) == Outcome(EQUAL)


@needs_table
def test_every_entry_is_accounted_for() -> None:
    assert [n for n, d in CLAIMS if d == "float32"] == names()


def test_no_claim_is_a_fault() -> None:
    assert {c.status for c in CLAIMS.values()} <= {PROVEN, "partly", REFUSED, UNTESTED}


@needs_table
def test_the_page_is_the_table() -> None:
    written = page.PATH.read_text(encoding="utf-8")
    assert page.render(CLAIMS, claims.read_sweeps()) == written


def test_the_page_shows_each_dtype() -> None:
    assert {c.dtype for c in CLAIMS.values()} <= set(DTYPES)


def test_the_table_reads_back(tmp_path: Path) -> None:
    table = {
        ("add", "float32"): Verdict("add", "float32", PROVEN, 3, 3, ""),
        ("eig", "bool"): Verdict("eig", "bool", REFUSED, 0, 2, "no"),
    }
    path, sweeps = tmp_path / "claims.txt", {"float32": "2 entries in 1 minute", "bool": "none"}
    claims.write(table.values(), sweeps, path)
    assert (claims.read(path), claims.read_sweeps(path)) == (table, sweeps)


def test_a_claim_that_shows_less_is_broken() -> None:
    known = {("add", "float32"): Verdict("add", "float32", PROVEN, 10, 10, "")}
    assert claims.broken(known, [Verdict("add", "float32", "partly", 4, 5, "why")])
    assert not claims.broken(known, [Verdict("add", "float32", PROVEN, 5, 5, "")])


def test_a_wrong_answer_is_broken_without_a_claim() -> None:
    assert claims.broken({}, [Verdict("add", "float32", WRONG, 4, 5, "0.1")])


def test_a_pass_that_nobody_claimed_is_listed() -> None:
    known = {("add", "float32"): Verdict("add", "float32", REFUSED, 0, 10, "no")}
    assert claims.unclaimed(known, [Verdict("add", "float32", PROVEN, 5, 5, "")])
    assert claims.unclaimed({}, [Verdict("add", "float32", PROVEN, 5, 5, "")])
    assert not claims.unclaimed(known, [Verdict("add", "float32", REFUSED, 0, 5, "no")])


def test_an_operator_without_a_kernel_is_refused_with_its_name() -> None:
    verdict = judge("linalg.eig", "float32", 3)
    assert (verdict.status, verdict.equal) == (REFUSED, 0)
    assert "linalg_eig" in verdict.reason


def test_a_dtype_that_pytorch_does_not_test_is_untested() -> None:
    assert judge("nn.functional.gelu", "bool", 3).status == UNTESTED


def test_fewer_samples_do_not_replace_more() -> None:
    known = {("add", "float32"): Verdict("add", "float32", PROVEN, 7, 7, "")}
    fewer, wrong = Verdict("add", "float32", PROVEN, 2, 2, ""), Verdict("add", "float32", WRONG, 1, 2, "0.1")
    assert claims.merged(known, [fewer]) == known
    assert claims.merged(known, [wrong])["add", "float32"] is wrong


def test_ties_are_compared_only_where_their_order_is_specified() -> None:
    tied = [is_unspecified("sort", sample) for sample in samples("sort", "bool")]
    assert any(tied) and not all(tied)
