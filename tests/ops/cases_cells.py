"""Cases of recurrent cells."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase

_GATES = {"lstm_cell": 4, "gru_cell": 3, "rnn_tanh_cell": 1, "rnn_relu_cell": 1}


def _cell(
    op: str,
    batch: int,
    features: int,
    hidden: int,
    *,
    biases: bool = True,
    dtype: str = "float32",
    fill: str = "unit",
) -> OpCase:
    rows = _GATES[op] * hidden
    states = ("hx.0", "hx.1") if op == "lstm_cell" else ("hx",)
    shapes: dict[str, tuple[int, ...]] = {"input": (batch, features)} | dict.fromkeys(states, (batch, hidden))
    shapes |= {"w_ih": (rows, features), "w_hh": (rows, hidden)}
    if biases:
        shapes |= {"b_ih": (rows,), "b_hh": (rows,)}
    tolerance = 1e-5 if dtype in ("float32", "float64") else 2e-2
    args = tuple(Arg(role, shape, dtype, fill if role == "input" else "unit") for role, shape in shapes.items())
    return OpCase(op, args, outputs=len(states), tolerance=tolerance)


CASES: tuple[OpCase, ...] = tuple(
    case
    for op in _GATES
    for case in (
        _cell(op, 2, 5, 7),
        _cell(op, 1, 16, 16),
        _cell(op, 3, 1, 1, biases=False),
        _cell(op, 2, 8, 33, dtype="float64"),
        _cell(op, 0, 5, 7),
        _cell(op, 2, 0, 5),
        _cell(op, 7, 4, 5, fill="special"),
        _cell(op, 2, 8, 6, dtype="bfloat16"),
        _cell(op, 2, 8, 6, dtype="float16"),
    )
)
