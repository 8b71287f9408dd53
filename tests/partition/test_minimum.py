"""The number of subgraphs beside the exhaustive minimum; the figures are those of docs/partitioning.md."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from optima.partition import partition
from tests.partition.mapped import fewest_parts, fewest_parts_by_partitions, random_case


def excess(devices: int, cases: int, least: int, most: int) -> Counter[int]:
    """How many subgraphs more than the minimum -> in how many seeded cases."""
    rng = random.Random(devices)
    found: Counter[int] = Counter()
    for _ in range(cases):
        graph = random_case(rng, rng.randint(least, most), devices, rng.randint(1, 3))
        found[len(partition(graph).subgraphs) - fewest_parts(graph)] += 1
    return found


@pytest.mark.parametrize("devices", [1, 2])
def test_two_devices_are_split_optimally(devices: int) -> None:
    assert excess(devices, 300, 2, 12) == {0: 300}


@pytest.mark.parametrize("devices", [3, 4, 5])
def test_more_devices_are_split_almost_optimally(devices: int) -> None:
    found = excess(devices, 400, 6, 12)
    assert min(found) == 0, "fewer than the minimum: the oracle is wrong"
    assert found[0] >= 0.99 * 400
    assert max(found) <= 1


def test_the_oracle_agrees_with_every_set_partition() -> None:
    rng = random.Random(7)
    for _ in range(60):
        graph = random_case(rng, rng.randint(1, 7), rng.randint(1, 3), 2)
        assert fewest_parts(graph) == fewest_parts_by_partitions(graph)
