"""The stand-in for NVIDIA's driver as fixtures: the library, and a driver freshly opened on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from optima.backends.cuda.driver import Driver
from tests.backends.cuda.harness import StandIn


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    return StandIn(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def opened(stand_in: StandIn) -> Iterator[Driver]:
    yield stand_in.driver()
    stand_in.library.stand_in_reset()
