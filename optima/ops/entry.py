"""What is declared once per operator: name, operands, attributes, traits, and its routes.

An ``OpEntry`` is the only place that knows an operator. A route that does not exist is ``No(reason)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from optima.graph import Graph, Op, TensorType

if TYPE_CHECKING:
    from tvm import te

    from optima.ops.onnx.site import OpSite
    from optima.ops.tflite.layout import Laid
    from optima.ops.tflite.site import TfliteSite


class Trait(Enum):
    """What passes may ask of an op; they never ask for its name."""

    ELEMENTWISE = "elementwise"  # out[i] depends on operands at i only, after broadcasting
    VIEW = "view"  # the same elements in another shape or order; computes nothing
    RESHAPE = "reshape"  # a VIEW that keeps row-major order: no byte moves when the input is dense
    INJECTIVE = "injective"  # each output element reads at most one element of each operand (pad, cat, views)
    REDUCTION = "reduction"  # folds whole axes (sum, softmax, layer_norm, pooling)
    CONTRACTION = "contraction"  # sums products: conv, linear, matmul; where the time goes
    OPAQUE = "opaque"  # nothing fuses with it (lstm)


class Missing(Enum):
    """Marks an attribute without a default."""

    REQUIRED = "required"


REQUIRED = Missing.REQUIRED


@dataclass(frozen=True)
class Yes:
    """A route or a backend can do it."""

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True)
class No:
    """A route or a backend cannot do it, and why."""

    reason: str

    def __bool__(self) -> bool:
        return False


Answer = Yes | No


@dataclass(frozen=True)
class OpView:
    """One op with its types: what rules, checks and costs look at.

    ``operands`` maps role -> type, list members as ``tensors.0``; absent optional operands are not in it.
    """

    op: str
    operands: Mapping[str, TensorType]
    attrs: Mapping[str, Any]
    outputs: tuple[TensorType, ...]

    @classmethod
    def of(cls, graph: Graph, op: Op) -> OpView:
        """The view of ``op`` in ``graph``."""
        return cls(
            op.op,
            {r: graph.type_of(n) for r, n in zip(op.roles, op.inputs, strict=True)},
            op.attrs,
            tuple(graph.type_of(n) for n in op.outputs),
        )

    @property
    def first(self) -> TensorType:
        """The type of the first operand."""
        return next(iter(self.operands.values()))

    def members(self, role: str) -> list[TensorType]:
        """The types of a list operand, in order."""
        return [t for r, t in self.operands.items() if r.split(".")[0] == role]


@dataclass(frozen=True)
class Te:
    """The kernel route.

    ``compute(view, tensors)`` returns one ``te.Tensor`` per output; ``tensors`` maps role -> ``te.Tensor``.
    ``refuse(view)`` gives the reason why these attributes, ranks or dtypes cannot be done, or None.
    A compute marks a block that needs more than the generic schedule with the block attribute
    ``{"schedule_rule": name}`` (see ``optima.kernels.schedule``).
    """

    compute: Callable[[OpView, Mapping[str, te.Tensor]], list[te.Tensor]]
    refuse: Callable[[OpView], str | None] = lambda view: None


@dataclass(frozen=True)
class Onnx:
    """The graph route: devices whose compilers read ONNX.

    ``emit(site)`` writes the op's nodes and returns the name of its output, or a list of names. ``refuse(view)``
    gives the reason why these attributes or ranks cannot be written, or None; ``dtypes`` are those that operands
    and outputs may have. ``opset`` is the first version of the operator set that it can be written in;
    ``constants`` are operands that must be parameters, since their data is written in another order.
    """

    emit: Callable[[OpSite], str | list[str]]
    refuse: Callable[[OpView], str | None] = lambda view: None
    dtypes: tuple[str, ...] = ("float32", "float16")
    opset: int = 11
    constants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tflite:
    """The graph route of devices that are compiled by way of a quantised TFLite model.

    ``emit(site)`` writes the op's nodes and returns its output with the order of its axes, or a list of such.
    ``refuse(view)`` gives the reason why these attributes or ranks cannot be written, or None. Everything is
    float32 there, and quantised afterwards. ``constants`` are operands that must be parameters, ``computed`` those
    that must not be where they have three axes or more.
    """

    emit: Callable[[TfliteSite], Laid | list[Laid]]
    refuse: Callable[[OpView], str | None] = lambda view: None
    constants: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """Work of one op: floating-point operations, and bytes read and written once each."""

    flops: float
    bytes: float


def streaming_cost(view: OpView) -> Cost:
    """One operation per output element, every operand read once: right for elementwise ops and views."""
    moved = sum(t.nbytes for t in view.operands.values()) + sum(t.nbytes for t in view.outputs)
    return Cost(float(sum(t.numel for t in view.outputs)), float(moved))


@dataclass(frozen=True)
class OpEntry:
    """One operator, whole.

    ``operands`` are the roles in order, by aten's argument names: ``"bias?"`` is optional, ``"tensors*"`` a list.
    ``attrs`` maps attribute name -> default, or REQUIRED; also aten's names. ``reference`` takes torch tensors by
    role (a list operand as a list) and attributes by name, and returns a tensor or a tuple of them.
    """

    name: str
    operands: tuple[str, ...]
    reference: Callable[..., Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    traits: frozenset[Trait] = frozenset()
    te: Te | No = No("no kernel route")
    onnx: Onnx | No = No("no ONNX emission")
    tflite: Tflite | No = No("no TFLite emission")
    cost: Callable[[OpView], Cost] = streaming_cost
    #: the torch operator that it is traced from, for an operator of the user's own: "mylib::cube"
    source: str = ""
    #: a compile-time form that no user graph holds (blocked layouts); only passes make it
    internal: bool = False

    def has(self, trait: Trait) -> bool:
        """Whether the op has the trait."""
        return trait in self.traits

    def kernel_answer(self, view: OpView) -> Answer:
        """Whether the kernel route takes this op as it stands."""
        if isinstance(self.te, No):
            return self.te
        reason = self.te.refuse(view)
        return No(reason) if reason else Yes()

    def onnx_answer(self, view: OpView, opset: int) -> Answer:
        """Whether the op as it stands can be written as ONNX of this version of the operator set."""
        if isinstance(self.onnx, No):
            return No(f"{self.name} has {self.onnx.reason}")
        if opset < self.onnx.opset:
            return No(f"{self.name} needs ONNX opset {self.onnx.opset}, the device takes {opset}")
        for kind in (*view.operands.values(), *view.outputs):
            if kind.dtype not in self.onnx.dtypes:
                return No(f"{self.name} of {kind.dtype} has no ONNX emission")
            if kind.numel == 0:
                return No("a tensor without elements has no ONNX emission")
        reason = self.onnx.refuse(view)
        return No(reason) if reason else Yes()

    def tflite_answer(self, view: OpView) -> Answer:
        """Whether the op as it stands can be written as TFLite; its tensors are float32 and have elements."""
        if isinstance(self.tflite, No):
            return No(f"{self.name} has {self.tflite.reason}")
        reason = self.tflite.refuse(view)
        return No(reason) if reason else Yes()
