"""Compute one op at compile time, to the same bytes on every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optima.graph import Op
from optima.ops.reference import call_reference, to_numpy, to_torch

Array = np.ndarray[Any, Any]


def evaluate(op: Op, operands: Sequence[tuple[Array, str]]) -> list[Array]:
    """The op's results by its reference, dense; ``operands`` are (array, dtype) in ``op.inputs``' order.

    torch runs on one thread meanwhile: the order in which it sums depends on its thread count.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            results = call_reference(op, [to_torch(array, dtype) for array, dtype in operands])
            return [to_numpy(result) for result in results]
    finally:
        torch.set_num_threads(threads)
