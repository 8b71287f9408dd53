"""Random modules, compiled under three maps: equal to eager PyTorch and to each other."""

from __future__ import annotations

import pytest
import torch

from tests.models.random_modules.comparing import failure
from tests.models.random_modules.grammar import make
from tests.models.random_modules.programs import Case, Step
from tests.models.random_modules.shrinking import smallest

#: each compiles about ten kernels
QUICK = range(3000, 3012)


@pytest.mark.parametrize("seed", QUICK)
def test_a_random_module_equals_pytorch(seed: int) -> None:
    case = make(seed)
    assert not (why := failure(case, seed)), f"{why}\n{case}"


@pytest.mark.slow
def test_many_random_modules_equal_pytorch() -> None:
    failures = {seed: why for seed in range(5000, 5200) if (why := failure(make(seed), seed))}
    assert not failures


def test_a_seed_makes_one_case() -> None:
    one, other = make(17), make(17)
    assert str(one) == str(other)
    with torch.no_grad():
        for a, b in zip(one.module()(*one.inputs), other.module()(*other.inputs), strict=True):
            assert torch.equal(a, b) or bool(a.isnan().any())


def test_a_failing_case_shrinks_to_the_step_at_fault() -> None:
    steps = [Step(t.__name__, t, (i,)) for i, t in enumerate((torch.relu, torch.neg, torch.exp, torch.abs))]
    case = Case((torch.ones(3),), tuple(steps), (1, 3, 4))
    small = smallest(case, lambda c: any(s.text == "exp" for s in c.steps))
    assert [s.text for s in small.steps] == ["exp"]
    assert small.returned == (1,)
