"""Rows of a table by number: embedding, embedding_bag; and one_hot, whose product with a table an embedding is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optima.ops import exact_math as em
from optima.ops.entry import OpEntry, OpView, Trait
from optima.ops.indexing import within
from optima.ops.onnx.indexing import EMBEDDING
from optima.ops.onnx.routes import with_onnx
from optima.ops.pointwise import supported
from optima.ops.reference import aten
from optima.ops.te_addresses import lanes
from optima.ops.te_loops import Buffer, Stmt, each, read, sequential, steps, store
from optima.ops.te_reduce import FLOATS, Expr, accumulator, const, widen
from optima.ops.te_scatter import shaped

if TYPE_CHECKING:
    from tvm import te

Tensors = Mapping[str, "te.Tensor"]
_INJECTIVE = frozenset({Trait.INJECTIVE})

#: aten's numbers for the ways to fold a bag
_SUM, _MEAN, _MAX = 0, 1, 2
#: what the two numbers kept per bag are
_NEXT, _COUNT = 0, 1
#: additions from which bags are spread over the worker pool
_PARALLEL_ADDITIONS = 2**15


def _embedding(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    table, indices = tensors["weight"], tensors["indices"]
    rows = view.operands["weight"].shape[0]

    def at(*index: Any) -> Any:
        return table(within(indices(*index[:-1]), rows), index[-1])

    return [te.compute(view.outputs[0].shape, at, name=view.op)]


def _bag_reference(**arguments: Any) -> Any:
    """The overload that takes every argument; absent weights are None there."""
    import torch

    arguments.setdefault("per_sample_weights", None)
    return torch.ops.aten.embedding_bag.padding_idx(**arguments)


def _embedding_bag(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    """Bag b folds the rows that ``indices[offsets[b] : offsets[b + 1]]`` name, in order; an empty bag is zero."""
    from tvm import te

    out, table = view.outputs[0], view.operands["weight"]
    if view.operands["indices"].numel == 0 or table.numel == 0:
        return [te.compute(out.shape, lambda *i: em.literal(0, out.dtype, i), name=view.op)]
    bags, width = out.shape
    acc = accumulator(out.dtype)

    def body(ins: Sequence[Buffer], outs: Sequence[Buffer]) -> Stmt:
        bag = _Bag(view, dict(zip(tensors, ins, strict=True)), outs[0], outs[1], acc, width)
        work = view.operands["indices"].numel * width
        return each(bags, bag.folded, "parallel" if work >= _PARALLEL_ADDITIONS else "serial", "bag")

    (folded, _) = sequential(view.op, list(tensors.values()), [(out.shape, acc), ((bags, 2), "int32")], body)
    return [shaped(folded, out.shape, acc, out.dtype)]


class _Bag:
    """The statements that fold one bag into its row of ``out``.

    ``state[bag]`` holds the next member's position and the number of rows folded. (A counted loop with computed
    bounds will not do: TVM would state what the kernel reads in terms of them.)
    """

    def __init__(
        self, view: OpView, buffers: Mapping[str, Buffer], out: Buffer, state: Buffer, acc: str, width: int
    ) -> None:
        self._view, self._buffers, self._out, self._state = view, buffers, out, state
        self._acc, self._width = acc, width
        self._mode = view.attrs["mode"]

    def folded(self, bag: Expr) -> Stmt:
        from tvm import tirx

        end = tirx.Var("end", "int32")
        last = int(self._view.operands["offsets"].shape[0]) - 1
        total = tirx.const(self._view.operands["indices"].numel, "int32")
        following = self._offset(tirx.min(bag + 1, last))
        if not self._view.attrs["include_last_offset"]:
            following = tirx.Select(bag < last, following, total)
        zero = const(0, self._acc)
        parts = [
            tirx.Bind(end, following),
            store(self._state, (bag, _NEXT), self._offset(bag)),
            store(self._state, (bag, _COUNT), tirx.const(0, "int32")),
            lanes(self._width, lambda d: store(self._out, (bag, d), zero)),
            tirx.While(read(self._state, bag, _NEXT) < end, self._member(bag)),
        ]
        if self._mode == _MEAN:
            count = tirx.max(read(self._state, bag, _COUNT), 1).astype(self._acc)
            parts.append(lanes(self._width, lambda d: store(self._out, (bag, d), tirx.div(self._at(bag, d), count))))
        return steps(*parts)

    def _offset(self, number: Expr) -> Expr:
        return within(read(self._buffers["offsets"], number), self._view.operands["indices"].numel + 1)

    def _at(self, bag: Expr, d: Expr) -> Expr:
        return read(self._out, bag, d)

    def _member(self, bag: Expr) -> Stmt:
        """Fold the next row, unless it is the padding row, and move on."""
        from tvm import tirx

        rows, dtype = self._view.operands["weight"].shape[0], self._view.outputs[0].dtype
        k, row = tirx.Var("k", "int32"), tirx.Var("row", "int32")
        found = read(self._buffers["indices"], k)

        def fold(d: Expr) -> Stmt:
            new, old = widen(read(self._buffers["weight"], row, d), dtype), self._at(bag, d)
            if self._mode == _MAX:
                # As torch: the first row, then every row that is greater; a NaN is neither.
                first = read(self._state, bag, _COUNT).equal(0)
                return store(self._out, (bag, d), tirx.Select(tirx.any(first, new > old), new, old))
            if "per_sample_weights" in self._buffers:
                new = new * widen(read(self._buffers["per_sample_weights"], k), dtype)
            return store(self._out, (bag, d), old + new)

        added = steps(tirx.Bind(row, within(found, rows)), lanes(self._width, fold), self._step(bag, _COUNT))
        padding = self._view.attrs["padding_idx"]
        if padding is not None:
            skipped = found.astype("int64").equal(tirx.const(padding % rows, "int64"))
            added = tirx.IfThenElse(em.logical_not(skipped), added, None)
        return steps(tirx.Bind(k, read(self._state, bag, _NEXT)), added, self._step(bag, _NEXT))

    def _step(self, bag: Expr, which: int) -> Stmt:
        return store(self._state, (bag, which), read(self._state, bag, which) + 1)


def _bag_reason(view: OpView) -> str | None:
    if len(view.outputs) > 1:
        return "its bookkeeping results (which row went where) are for training"
    kinds = view.operands
    if len(kinds["indices"].shape) != 1:
        return "indices of more than one dimension: give them flat, with offsets"
    if kinds["weight"].dtype not in FLOATS:
        return f"a table of {kinds['weight'].dtype}"
    weights = kinds.get("per_sample_weights")
    if weights is not None and weights.dtype != kinds["weight"].dtype:
        return f"per_sample_weights of {weights.dtype} for a table of {kinds['weight'].dtype}"
    return None


def _one_hot(view: OpView, tensors: Tensors) -> list[te.Tensor]:
    from tvm import te

    x, out = tensors["self"], view.outputs[0]

    def at(*index: Any) -> Any:
        return x(*index[:-1]).astype("int64").equal(index[-1].astype("int64")).astype(out.dtype)

    return [te.compute(out.shape, at, name=view.op)]


def _one_hot_reason(view: OpView) -> str | None:
    return "num_classes must be given" if view.attrs["num_classes"] < 1 else None


def _one_hot_reference(**arguments: Any) -> Any:
    """By comparison: aten's own reads the values, which a type rule does not have."""
    import torch

    x, classes = arguments["self"], arguments["num_classes"]
    if classes < 1:
        return torch.ops.aten.one_hot(x, classes)
    return (x.unsqueeze(-1) == torch.arange(classes, device=x.device)).to(torch.int64)


ENTRIES: tuple[OpEntry, ...] = with_onnx(
    (
        OpEntry(
            "embedding",
            ("weight", "indices"),
            aten("embedding"),
            {"padding_idx": -1, "scale_grad_by_freq": False, "sparse": False},
            _INJECTIVE,
            supported(_embedding),
        ),
        OpEntry(
            "embedding_bag",
            ("weight", "indices", "offsets", "per_sample_weights?"),
            _bag_reference,
            {
                "scale_grad_by_freq": False,
                "mode": _SUM,
                "sparse": False,
                "include_last_offset": False,
                "padding_idx": None,
            },
            frozenset({Trait.OPAQUE}),
            supported(_embedding_bag, _bag_reason),
        ),
        OpEntry(
            "one_hot",
            ("self",),
            _one_hot_reference,
            {"num_classes": -1},
            _INJECTIVE,
            supported(_one_hot, _one_hot_reason),
        ),
    ),
    EMBEDDING,
)
