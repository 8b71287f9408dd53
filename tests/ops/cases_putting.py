"""Cases of writing at places: index tensors with gaps, negative and broadcasting ones, masks, flat positions,
diagonals, strided views; values that broadcast; 0-d and empty."""

from __future__ import annotations

from tests.ops.case import Arg, OpCase


def _pick(role: str, shape: tuple[int, ...], high: int, dtype: str = "int64") -> Arg:
    return Arg(role, shape, dtype, "normal", high)  # drawn from -high .. high - 1


def _mask(role: str, shape: tuple[int, ...]) -> Arg:
    return Arg(role, shape, "bool")


def _put(
    shape: tuple[int, ...], values: tuple[int, ...], *indices: Arg, dtype: str = "float32", accumulate: bool = False
) -> OpCase:
    args = (Arg("self", shape, dtype), *indices, Arg("values", values, dtype))
    return OpCase("index_put", args, {"accumulate": accumulate})


def _by_mask(shape: tuple[int, ...], mask: Arg, dtype: str = "float32", *, accumulate: bool = False) -> OpCase:
    """Exactly as many values as the mask will select, along its dimension of the result."""
    first = int(mask.role.partition(".")[2])
    self = Arg("self", shape, dtype)
    count = int(OpCase("index_put", (self, mask)).values()[mask.role].sum())
    values = (*shape[:first], count, *shape[first + len(mask.shape) :])
    return OpCase("index_put", (self, mask, Arg("values", values, dtype)), {"accumulate": accumulate})


_STRIDED = {"size": (3, 2), "stride": (1, 4), "storage_offset": 1}

CASES: tuple[OpCase, ...] = (
    *(
        case
        for accumulate in (False, True)
        for case in (
            _put((6, 5), (3, 5), _pick("indices.0", (3,), 6), accumulate=accumulate),
            _put((6, 5), (), _pick("indices.0", (3,), 6, "int32"), accumulate=accumulate),
            _put((6, 5, 20), (4, 1), _pick("indices.1", (2, 4), 5), dtype="bfloat16", accumulate=accumulate),
            _put(
                (6, 5, 4), (2, 3, 4), _pick("indices.0", (2, 1), 6), _pick("indices.1", (3,), 5), accumulate=accumulate
            ),
            _put((6, 5, 4), (3, 5), _pick("indices.0", (3,), 6), _pick("indices.2", (), 4), accumulate=accumulate),
            _put(
                (6, 5),
                (7,),
                _pick("indices.0", (7,), 6),
                _pick("indices.1", (7,), 5),
                dtype="int64",
                accumulate=accumulate,
            ),
            _put((5, 40), (1,), _mask("indices.0", (5, 40)), accumulate=accumulate),
            _put((5, 40, 3), (1, 3), _mask("indices.0", (5, 40)), dtype="float16", accumulate=accumulate),
            _put((5, 40, 3), (), _mask("indices.1", (40,)), dtype="int32", accumulate=accumulate),
            _by_mask((5, 8), _mask("indices.0", (5, 8)), accumulate=accumulate),
            _by_mask((5, 8), _mask("indices.0", (5,)), "bfloat16", accumulate=accumulate),
            _by_mask((5, 8, 3), _mask("indices.1", (8,)), "int64", accumulate=accumulate),
        )
    ),
    _put((6, 5), (3, 5), _pick("indices.0", (3,), 6), dtype="bool", accumulate=True),
    _put((60, 900), (80, 900), _pick("indices.0", (80,), 60), accumulate=True),
    _put((400, 96), (3, 96), _pick("indices.0", (3,), 400)),
    _put((6, 5), (0, 5), _pick("indices.0", (0,), 6)),
    _put((3,), (1,), _mask("indices.0", ())),
    *(
        OpCase("put", (Arg("self", s, d), _pick("index", i, 9), Arg("source", v, d)), {"accumulate": a})
        for s, i, v, d in (
            ((3, 4), (2, 3), (6,), "float32"),
            ((3, 4), (5,), (5, 1), "bfloat16"),
            ((10,), (), (1,), "int32"),
            ((3, 4), (0,), (0,), "float32"),
        )
        for a in (False, True)
    ),
    OpCase("put", (Arg("self", ()), _pick("index", (1,), 1), Arg("source", (1,))), {"accumulate": False}),
    OpCase("masked_scatter", (Arg("self", (4, 5)), _mask("mask", (4, 5)), Arg("source", (20,)))),
    OpCase("masked_scatter", (Arg("self", (4, 5), "bfloat16"), _mask("mask", (5,)), Arg("source", (6, 5), "bfloat16"))),
    OpCase("masked_scatter", (Arg("self", (5,), "int64"), _mask("mask", (4, 5)), Arg("source", (5, 5), "int64"))),
    OpCase("masked_scatter", (Arg("self", ()), _mask("mask", ()), Arg("source", (1,)))),
    OpCase("masked_scatter", (Arg("self", (0, 3)), _mask("mask", (0, 3)), Arg("source", (0,)))),
    OpCase("diagonal_scatter", (Arg("self", (4, 5)), Arg("src", (4,))), {"offset": 0, "dim1": 0, "dim2": 1}),
    OpCase("diagonal_scatter", (Arg("self", (4, 2, 5)), Arg("src", (2, 4))), {"offset": -1, "dim1": -1, "dim2": 0}),
    OpCase(
        "diagonal_scatter",
        (Arg("self", (4, 5), "bool"), Arg("src", (2,), "bool")),
        {"offset": 3, "dim1": 0, "dim2": 1},
    ),
    OpCase("diagonal_scatter", (Arg("self", (4, 5)), Arg("src", (0,))), {"offset": 5, "dim1": 0, "dim2": 1}),
    OpCase("as_strided", (Arg("self", (2, 5)),), _STRIDED),
    OpCase("as_strided", (Arg("self", (20,), "bfloat16"),), {"size": (4, 5), "stride": (2, 1), "storage_offset": None}),
    OpCase("as_strided", (Arg("self", (3, 4), "int64"),), {"size": (), "stride": (), "storage_offset": 7}),
    OpCase("as_strided", (Arg("self", (3, 4)),), {"size": (0, 2), "stride": (50, 1), "storage_offset": 0}),
    OpCase("as_strided", (Arg("self", ()),), {"size": (2,), "stride": (0,), "storage_offset": None}),
    OpCase("as_strided_scatter", (Arg("self", (2, 5)), Arg("src", (3, 2))), _STRIDED),
    OpCase(
        "as_strided_scatter",
        (Arg("self", (4, 3), "bfloat16"), Arg("src", (3, 4), "bfloat16")),
        {"size": (3, 4), "stride": (1, 3), "storage_offset": None},
    ),
    OpCase(
        "as_strided_scatter", (Arg("self", (4, 3)), Arg("src", ())), {"size": (), "stride": (), "storage_offset": 11}
    ),
)

REFUSED: tuple[OpCase, ...] = (_put((4, 5), (3,), _mask("indices.0", (4,)), _pick("indices.1", (3,), 5)),)
