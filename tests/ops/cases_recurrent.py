"""Cases of recurrent layers: layers, directions, biases, batch order, projections, odd and tile-sized widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.ops.case import Arg, OpCase

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


@dataclass(frozen=True)
class _Layers:
    """The cases of one kind of layer, made from extents and options."""

    op: str

    def __call__(
        self, length: int, batch: int, features: int, hidden: int, layers: int = 1, *,
        biases: bool = True, both_ways: bool = False, batch_first: bool = False, train: bool = False,
        projection: int = 0, dtype: str = "float32", fill: str = "unit", tolerance: float = 1e-5,
    ) -> OpCase:  # fmt: skip
        """The case: ``projection`` is lstm's proj_size, ``fill`` how the input is drawn."""
        ways = 2 if both_ways else 1
        output = projection or hidden
        shape = (batch, length, features) if batch_first else (length, batch, features)
        args = [Arg("input", shape, dtype, fill)]
        states = (("hx.0", output), ("hx.1", hidden)) if self.op == "lstm" else (("hx", hidden),)
        args += [Arg(role, (layers * ways, batch, width), dtype, "unit") for role, width in states]
        shapes: list[tuple[int, ...]] = []
        rows = _GATES[self.op] * hidden
        for layer in range(layers):
            inner = features if layer == 0 else ways * output
            one = [(rows, inner), (rows, output), *([(rows,)] * 2 if biases else [])]
            shapes += (one + ([(output, hidden)] if projection else [])) * ways
        args += [Arg(f"params.{n}", s, dtype, "unit") for n, s in enumerate(shapes)]
        attrs: dict[str, Any] = {
            "has_biases": biases,
            "num_layers": layers,
            "dropout": 0.0,
            "train": train,
            "bidirectional": both_ways,
            "batch_first": batch_first,
        }
        return OpCase(self.op, tuple(args), attrs, outputs=len(states) + 1, tolerance=tolerance)


def _of(op: str) -> list[OpCase]:
    case = _Layers(op)
    return [
        case(4, 2, 5, 7),
        case(1, 1, 3, 1),
        case(6, 1, 8, 32),
        case(5, 3, 4, 33),
        case(7, 2, 5, 16, batch_first=True),
        case(4, 2, 5, 7, biases=False),
        case(4, 2, 5, 7, both_ways=True),
        case(4, 2, 5, 9, 2),
        case(5, 2, 5, 9, 2, both_ways=True, batch_first=True),
        case(3, 2, 4, 5, 3, both_ways=True, biases=False),
        case(3, 0, 4, 5),
        case(3, 2, 0, 5),
        case(3, 7, 4, 5, fill="special"),
        case(4, 2, 5, 7, dtype="float64", tolerance=1e-12),
        case(4, 2, 5, 7, dtype="float16", tolerance=4e-3),
        case(4, 2, 5, 7, dtype="bfloat16", tolerance=3e-2),
    ]


_lstm, _gru = _Layers("lstm"), _Layers("gru")

CASES: tuple[OpCase, ...] = (
    *(case for op in _GATES for case in _of(op)),
    _lstm(3, 2, 3, 520, tolerance=1e-4),  # long sums of terms that cancel
    _gru(3, 2, 3, 600, tolerance=1e-4),
    _lstm(4, 2, 5, 7, projection=3),
    _lstm(4, 2, 5, 40, 2, projection=33, both_ways=True, batch_first=True),
    _lstm(3, 2, 5, 7, 2, projection=1, biases=False),
    _lstm(3, 2, 4, 6, projection=2, dtype="bfloat16", tolerance=3e-2),
)

REFUSED: tuple[OpCase, ...] = tuple(_Layers(op)(4, 2, 5, 7, train=True) for op in _GATES)
