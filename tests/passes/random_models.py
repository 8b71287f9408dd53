"""Hypothesis: random graphs of real operators, as a user's subgraph could hold them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from optima.graph import Graph, Op, Origin, Tensor, TensorType
from optima.ops.reference import infer_types
from torch2nx.errors import GraphError

_BN = {"training": False, "momentum": 0.1, "eps": 1e-3, "cudnn_enabled": False}


class Builder:
    """Grows a graph op by op; an op that torch refuses for its operands is left out."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.tensors: dict[str, Tensor] = {}
        self.ops: list[Op] = []
        self.values: list[str] = []

    def tensor(self, shape: tuple[int, ...], dtype: str = "float32", param: bool = False) -> str:
        name = f"{'paramtensor' if param else 'tensor'}_{len(self.tensors)}"
        source = f"p.{name}" if param else ""
        self.tensors[name] = Tensor(name, TensorType(shape, dtype), is_param=param, source=source)
        return name

    def pick(self) -> str:
        """A value, the latest ones more often."""
        return self.draw(st.sampled_from(self.values[-3:] + self.values))

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def is_float32(self, name: str) -> bool:
        """torch's shape rules let mixed dtypes through where its kernels do not."""
        return self.tensors[name].dtype == "float32"

    def apply(self, op: str, operands: dict[str, str], attrs: dict[str, Any] | None = None, outputs: int = 1) -> None:
        name = f"{op}_{len(self.ops)}"
        made = Op(
            name,
            op,
            tuple(operands.values()),
            tuple(operands),
            tuple(f"{name}.{i}" for i in range(outputs)),
            attrs or {},
            (Origin("net.py", len(self.ops), "forward"),),
        )
        try:
            types = infer_types(made, [self.tensors[n].type for n in made.inputs])
        except GraphError:
            return
        if len(types) != outputs:
            return
        for out, type_ in zip(made.outputs, types, strict=True):
            self.tensors[out] = Tensor(out, type_)
        self.ops.append(made)
        self.values += made.outputs


def _unary(b: Builder) -> None:
    b.apply(b.draw(st.sampled_from(["relu", "tanh", "sigmoid", "neg"])), {"self": b.pick()})


def _binary(b: Builder) -> None:
    b.apply(b.draw(st.sampled_from(["add", "mul", "maximum"])), {"self": b.pick(), "other": b.pick()})


def _constant(b: Builder) -> None:
    x = b.pick()
    b.apply("add", {"self": x, "other": b.tensor(b.shape(x)[-1:], param=True)})


def _conv(b: Builder) -> None:
    x = b.pick()
    if len(b.shape(x)) == 4 and b.is_float32(x):
        operands = {"input": x, "weight": b.tensor((3, b.shape(x)[1], 1, 1), param=True)}
        if b.draw(st.booleans()):
            operands["bias"] = b.tensor((3,), param=True)
        b.apply("conv2d", operands, {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1})


def _linear(b: Builder) -> None:
    x = b.pick()
    if b.shape(x) and b.is_float32(x):
        b.apply("matmul", {"self": x, "other": b.tensor((b.shape(x)[-1], 3), param=True)})


def _norm(b: Builder) -> None:
    x = b.pick()
    if len(b.shape(x)) >= 2 and b.is_float32(x):
        channels = b.shape(x)[1:2]
        operands = {"input": x, "weight": b.tensor(channels, param=True)}
        operands |= {r: b.tensor(channels, param=True) for r in ("running_mean", "running_var")}
        b.apply("batch_norm", operands, dict(_BN))


def _view(b: Builder) -> None:
    x = b.pick()
    rank = len(b.shape(x))
    kind = b.draw(st.sampled_from(["reshape", "permute", "slice", "flatten", "clone", "unsqueeze", "to"]))
    if kind == "reshape":
        shape = b.draw(st.sampled_from([(-1, 4), (2, -1), (1, 2, 3, 4), (-1,)]))
        b.apply("reshape", {"self": x}, {"shape": shape})
    elif kind == "permute":
        b.apply("permute", {"self": x}, {"dims": tuple(b.draw(st.permutations(range(rank))))})
    elif kind == "slice":
        end = b.draw(st.sampled_from([0, 1, 2, 9]))
        b.apply("slice", {"self": x}, {"dim": rank - 1, "start": 0, "end": end, "step": 1})
    elif kind == "flatten":
        b.apply("flatten", {"self": x}, {"start_dim": 0, "end_dim": -1})
    elif kind == "unsqueeze":
        b.apply("unsqueeze", {"self": x}, {"dim": 0})
    elif kind == "to":
        b.apply("to", {"self": x}, {"dtype": b.draw(st.sampled_from(["float32", "float64"]))})
    else:
        b.apply("clone", {"self": x})


def _reduce(b: Builder) -> None:
    b.apply("mean", {"self": b.pick()}, {"dim": (-1,), "keepdim": b.draw(st.booleans()), "dtype": None})


def _join(b: Builder) -> None:
    members = [b.pick() for _ in range(b.draw(st.integers(1, 3)))]
    dim = b.draw(st.sampled_from([0, -1]))
    b.apply("cat", {f"tensors.{i}": n for i, n in enumerate(members)}, {"dim": dim})


def _split(b: Builder) -> None:
    b.apply("chunk", {"self": b.pick()}, {"chunks": 2, "dim": -1}, outputs=2)


_STEPS: tuple[Callable[[Builder], None], ...] = (
    _unary, _unary, _binary, _binary, _constant, _conv, _linear, _norm, _view, _view, _reduce, _join, _split,
)  # fmt: skip


@st.composite
def models(draw: st.DrawFn) -> Graph:
    """A sound graph of up to 24 ops with one or two inputs and one to four outputs, parameters abstract."""
    b = Builder(draw)
    second = draw(st.sampled_from([(2, 3, 4, 4), (2, 3, 1, 1), (3, 0), (2, 4)]))
    b.values = [b.tensor((2, 3, 4, 4)), b.tensor(second)]
    inputs = tuple(b.values)
    for step in draw(st.lists(st.sampled_from(_STEPS), min_size=6, max_size=24)):
        step(b)
    outputs = tuple(draw(st.lists(st.sampled_from(b.values[-3:] + b.values), min_size=1, max_size=4)))
    return Graph("g", (), {}, inputs, outputs).rebuild(b.ops, b.tensors.values())
