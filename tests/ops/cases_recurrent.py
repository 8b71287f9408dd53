"""Cases of recurrent layers: layers, directions, biases, batch order, odd and tile-sized widths, dtypes."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase


def _lstm(
    length: int,
    batch: int,
    features: int,
    hidden: int,
    layers: int = 1,
    *,
    biases: bool = True,
    both_ways: bool = False,
    batch_first: bool = False,
    train: bool = False,
    projection: int = 0,
    dtype: str = "float32",
    fill: str = "unit",
    tolerance: float = 1e-5,
) -> OpCase:
    ways = 2 if both_ways else 1
    output = projection or hidden
    shape = (batch, length, features) if batch_first else (length, batch, features)
    args = [Arg("input", shape, dtype, fill)]
    args += [Arg(f"hx.{n}", (layers * ways, batch, (output, hidden)[n]), dtype, "unit") for n in (0, 1)]
    shapes: list[tuple[int, ...]] = []
    for layer in range(layers):
        inner = features if layer == 0 else ways * output
        one = [(4 * hidden, inner), (4 * hidden, output), *([(4 * hidden,)] * 2 if biases else [])]
        shapes += (one + ([(output, hidden)] if projection else [])) * ways
    args += [Arg(f"params.{n}", s, dtype, "unit") for n, s in enumerate(shapes)]
    attrs = {
        "has_biases": biases,
        "num_layers": layers,
        "dropout": 0.0,
        "train": train,
        "bidirectional": both_ways,
        "batch_first": batch_first,
    }
    return OpCase("lstm", tuple(args), attrs, outputs=3, tolerance=tolerance)


CASES: tuple[OpCase, ...] = (
    _lstm(4, 2, 5, 7),
    _lstm(1, 1, 3, 1),
    _lstm(6, 1, 8, 32),
    _lstm(5, 3, 4, 33),
    _lstm(7, 2, 5, 16, batch_first=True),
    _lstm(4, 2, 5, 7, biases=False),
    _lstm(4, 2, 5, 7, both_ways=True),
    _lstm(4, 2, 5, 9, 2),
    _lstm(5, 2, 5, 9, 2, both_ways=True, batch_first=True),
    _lstm(3, 2, 4, 5, 3, both_ways=True, biases=False),
    _lstm(3, 0, 4, 5),
    _lstm(3, 2, 0, 5),
    _lstm(3, 7, 4, 5, fill="special"),
    _lstm(3, 2, 3, 520, tolerance=1e-4),  # long sums of terms that cancel
    _lstm(4, 2, 5, 7, dtype="float64", tolerance=1e-12),
    _lstm(4, 2, 5, 7, dtype="float16", tolerance=4e-3),
    _lstm(4, 2, 5, 7, dtype="bfloat16", tolerance=3e-2),
)

REFUSED: tuple[OpCase, ...] = (_lstm(4, 2, 5, 7, train=True), _lstm(4, 2, 5, 7, projection=3))
