"""Equal kernels of a model are compiled once, however often it calls them."""

from __future__ import annotations

import pytest

from benchmarks.growth import chain, compile_s


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMA_CACHE_DIR", "")  # put back afterwards: the benchmark sets its own


def test_a_longer_chain_of_equal_layers_has_no_more_kernels() -> None:
    _, few = compile_s(chain(3, equal=True), 8)
    _, many = compile_s(chain(9, equal=True), 8)
    assert few == many


def test_different_layers_have_a_kernel_each() -> None:
    _, few = compile_s(chain(3, equal=False), 8)
    _, many = compile_s(chain(9, equal=False), 8)
    assert many == few + 6
