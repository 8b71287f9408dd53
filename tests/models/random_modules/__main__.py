"""Try seeds and print each failure with its smallest module: ``python -m tests.models.random_modules 1000 1200``."""

from __future__ import annotations

import sys

from tests.models.random_modules.comparing import failure
from tests.models.random_modules.grammar import make
from tests.models.random_modules.shrinking import smallest


def main(first: int, last: int) -> None:
    """Try the seeds from ``first`` to before ``last``."""
    say = sys.stdout.write
    for seed in range(first, last):
        case = make(seed)
        why = failure(case, seed)
        if why:
            small = smallest(case, lambda c, seed=seed: bool(failure(c, seed)))  # type: ignore[misc]
            say(f"--- seed {seed}: {why}\nsmallest: {failure(small, seed)}\n{small}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
