"""Cases of recurrent cells."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase


def _lstm_cell(batch: int, features: int, hidden: int, *, biases: bool = True, dtype: str = "float32") -> OpCase:
    shapes = {"input": (batch, features), "hx.0": (batch, hidden), "hx.1": (batch, hidden)}
    shapes |= {"w_ih": (4 * hidden, features), "w_hh": (4 * hidden, hidden)}
    if biases:
        shapes |= {"b_ih": (4 * hidden,), "b_hh": (4 * hidden,)}
    tolerance = 1e-5 if dtype in ("float32", "float64") else 2e-2
    args = tuple(Arg(role, shape, dtype, "unit") for role, shape in shapes.items())
    return OpCase("lstm_cell", args, outputs=2, tolerance=tolerance)


CASES: tuple[OpCase, ...] = (
    _lstm_cell(2, 5, 7),
    _lstm_cell(1, 16, 16),
    _lstm_cell(3, 1, 1, biases=False),
    _lstm_cell(2, 8, 33, dtype="float64"),
    _lstm_cell(0, 5, 7),
)

REFUSED: tuple[OpCase, ...] = (_lstm_cell(2, 8, 6, dtype="bfloat16"),)
