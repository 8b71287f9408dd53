"""Products of groups of rows, each with a matrix of its own, where the groups' sizes are known only at run time.

Mixtures of experts sort their tokens by expert; ``offs`` says where each expert's tokens end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops.entry import Cost, OpEntry, OpView, Trait
from optima.ops.pointwise import supported
from optima.ops.te_control import Frame, framed, number, when
from optima.ops.te_loops import Buffer, Stmt, each, read, sequential, steps, store
from optima.ops.te_reduce import HALVES, Expr, accumulator, const, finish, fold_terms, widen

if TYPE_CHECKING:
    import torch
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]

#: rows that share what is read of a matrix, and columns beside each other: with a vector of 16 lanes, 16 registers
_BLOCK, _WIDTH = 4, 64


def _reference(
    *, self: torch.Tensor, mat2: torch.Tensor, offs: torch.Tensor | None = None, bias: Any = None, out_dtype: Any = None
) -> torch.Tensor:
    """``self[i] @ mat2[g]`` for the group g of row i, the first whose end lies beyond i; zeros after the last end.

    Torch's own kernel wants rows of a multiple of 16 bytes, which says nothing about the answer.
    """
    import torch

    if offs is None or self.dim() != 2 or mat2.dim() != 3:
        made: torch.Tensor = torch.ops.aten._grouped_mm(self, mat2, offs, bias, out_dtype)
        return made
    group = (torch.arange(self.shape[0])[:, None] >= offs[None]).sum(1)
    out = self.new_zeros(self.shape[0], mat2.shape[2])
    for index in range(mat2.shape[0]):
        out = torch.where((group == index)[:, None], self @ mat2[index], out)
    return out


def _grouped_mm(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Row by row with the matrix of its group; rows that share one are taken four at a time.

    The loops are written out, since no schedule tiles rows that choose their matrix by data. Columns run in
    vectors, depth in front of them, so that each matrix is read in the order in which it lies.
    """
    out = view.outputs[0]
    rows, matrices, ends = tensors["self"], tensors["mat2"], tensors["offs"]
    groups = int(matrices.shape[0])
    if 0 in (groups, int(matrices.shape[1])):
        return [fold_terms("sum", out.shape, (0,), lambda i, k: const(0.0, out.dtype), out.dtype, view.op)]

    def passed(index: tuple[Expr, ...], ks: tuple[Expr, ...]) -> Expr:
        return (ends(ks[0]).astype("int64") <= index[0].astype("int64")).astype("int32")

    # Ends never fall, so the groups that end at or before a row are those in front of its own.
    group = fold_terms("sum", (out.shape[0],), (groups,), passed, "int32", "group")
    acc = accumulator(out.dtype)

    def body(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        return _loops(ins[0], ins[1], ins[2], outs[0])

    (summed,) = sequential(view.op, [rows, matrices, group], [(out.shape, acc)], body)
    return [finish(summed, acc, out.dtype)]


def _loops(rows: Buffer, matrices: Buffer, group: Buffer, out: Buffer) -> Stmt:
    """Tiles of columns in parallel, in each all rows: whole blocks, then what is left."""
    count, columns = (int(d) for d in out.shape)
    blocks, left = divmod(count, _BLOCK)

    def tile(first: Expr, width: int) -> Stmt:
        def one(row: Expr) -> Stmt:
            return _rows(rows, matrices, group, out, row, 1, first, width)

        def block(index: Expr) -> Stmt:
            row = index * _BLOCK
            alike = read(group, row) == read(group, row + _BLOCK - 1)
            whole = _rows(rows, matrices, group, out, row, _BLOCK, first, width)
            return when(alike, whole, each(_BLOCK, lambda i: one(row + i)))

        parts = [each(blocks, block)] if blocks else []
        return steps(*parts, *([each(left, lambda i: one(blocks * _BLOCK + i))] if left else []))

    whole = columns // _WIDTH
    parts = [each(whole, lambda t: tile(t * _WIDTH, _WIDTH), "parallel")] if whole else []
    first, width = whole * _WIDTH, _WIDTH // 2
    while first < columns:
        if columns - first >= width:
            parts.append(tile(number(first), width))
            first += width
        width //= 2
    return steps(*parts)


def _rows(
    rows: Buffer, matrices: Buffer, group: Buffer, out: Buffer, row: Expr, count: int, first: Expr, width: int
) -> Stmt:
    """``out[row : row + count, first : first + width]``, all of one group; zeros behind the last end."""
    groups, depth, _ = (int(d) for d in matrices.shape)
    acc = str(out.dtype)

    def lanes(body: Callable[[Expr], Stmt]) -> Stmt:
        return each(width, body, "vectorized", "lane") if width > 1 else body(number(0))

    def inside(frame: Frame) -> Stmt:
        sums = [frame.array(f"sum_{i}", width, acc) for i in range(count)]
        zero = [lanes(lambda v, s=s: store(s, (v,), const(0.0, acc))) for s in sums]  # type: ignore[misc]

        def add(k: Expr) -> Stmt:
            def to(i: int, s: Buffer) -> Stmt:
                left = widen(read(rows, row + i, k), str(rows.dtype))
                return lanes(lambda v: store(s, (v,), read(s, v) + left * right(v)))

            def right(v: Expr) -> Expr:
                return widen(read(matrices, read(group, row), k, first + v), str(matrices.dtype))

            return steps(*(to(i, s) for i, s in enumerate(sums)))

        told = [lanes(lambda v, i=i, s=s: store(out, (row + i, first + v), read(s, v)))  # type: ignore[misc]
                for i, s in enumerate(sums)]  # fmt: skip
        return steps(*zero, when(read(group, row) < groups, each(depth, add)), *told)

    return framed((rows, matrices, group), (out,), inside)


def _refuse(view: OpView) -> str | None:
    rows, matrices = view.operands["self"], view.operands["mat2"]
    if len(rows.shape) != 2 or len(matrices.shape) != 3 or "offs" not in view.operands:
        return "_grouped_mm has a kernel for groups of rows only: (rows, depth) by (groups, depth, columns) with offs"
    if "bias" in view.operands:
        return "torch has no bias in a grouped product yet"
    if matrices.shape[0] == 0 and view.outputs[0].numel:
        return "there is no group to take a matrix from"
    dtypes = {rows.dtype, matrices.dtype, view.outputs[0].dtype}
    if len(dtypes) > 1 or not dtypes <= {"float32", "float64", *HALVES}:
        return f"_grouped_mm has no kernel for {' and '.join(sorted(dtypes))}"
    return None


def _cost(view: OpView) -> Cost:
    """A multiplication and an addition per row, depth and column; at most all matrices read."""
    moved = sum(t.nbytes for t in (*view.operands.values(), *view.outputs))
    return Cost(2.0 * view.outputs[0].numel * view.first.shape[-1], float(moved))


ENTRIES: tuple[OpEntry, ...] = (
    OpEntry(
        "_grouped_mm", ("self", "mat2", "offs?", "bias?"), _reference, {"out_dtype": None},
        frozenset({Trait.CONTRACTION}), supported(_grouped_mm, _refuse), cost=_cost,
    ),
)  # fmt: skip
