"""The trace: torch.export's program as a plain list of steps over values, which the later stages rewrite.

A ``Step`` binds an aten call to its schema's argument names. A ``Value`` is a tensor that is an input, a
parameter (or buffer), a constant, or a step's result; it is known by identity.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devices.errors import Problem
from torch2nx import origins
from torch2nx.errors import ConvertError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram
    from torch.fx import GraphModule, Node

INPUT, PARAM, CONSTANT, RESULT = "input", "param", "constant", "result"


@dataclass(eq=False)
class Value:
    """A tensor of the trace. ``meta`` is torch's fake tensor, or what stands there for a symbolic scalar.

    ``name`` is an input's argument name or a parameter's PyTorch name; ``data`` the tensor of a parameter or
    constant.
    """

    kind: str
    meta: Any
    name: str = ""
    data: torch.Tensor | None = None

    @property
    def is_tensor(self) -> bool:
        """False for a scalar that depends on data, such as what ``.item()`` gives."""
        import torch

        return isinstance(self.data if self.data is not None else self.meta, torch.Tensor)

    @property
    def shape(self) -> tuple[Any, ...]:
        """Extents; one that depends on data is no int but torch's expression for it, to be compared as a text is."""
        return tuple(extent(d) for d in (self.data.shape if self.data is not None else self.meta.shape))

    @property
    def dtype(self) -> torch.dtype:
        """torch's dtype."""
        dtype: torch.dtype = (self.data if self.data is not None else self.meta).dtype
        return dtype


@dataclass(eq=False)
class Step:
    """One call. ``arguments`` maps schema argument names to Values, lists of them, or plain Python values.

    ``overload`` is None for what is no aten call (a higher-order op, a symbolic scalar's arithmetic).
    """

    target: str
    overload: Any
    arguments: dict[str, Any]
    outputs: list[Value]
    origin: origins.Origin
    #: why it can be no op, although there is one for such calls
    refusal: str = ""

    @property
    def operands(self) -> Iterator[Value]:
        """Every Value among the arguments, in schema order."""
        for argument in self.arguments.values():
            yield from values_in(argument)

    def problem(self, reason: str) -> Problem:
        """This step as a row of an error."""
        return Problem(self.target, reason, origins.where(self.origin), self.origin["code"])


@dataclass(eq=False)
class Symbol:
    """A size known only at run time, from ``low`` to ``high``, and the int64 scalar that holds it.

    Tensors have ``high`` rows in its place. ``places`` are the (result, axis) pairs that it is the size of.
    """

    low: int
    high: int
    count: Value
    places: list[tuple[int, int]] = field(default_factory=list)


@dataclass(eq=False)
class Trace:
    """``inputs`` are the user's tensors, ``results`` the leaves of what the model returns, both in order.

    Behind the leaves stand the counts of ``symbols``, one each.
    """

    inputs: list[Value]
    steps: list[Step]
    results: list[Any]
    in_spec: Any = None
    out_spec: Any = None
    leaves: list[Any] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=list)

    def substitute(self, table: dict[Value, Value]) -> None:
        """Replace values everywhere; chains in ``table`` are followed."""
        if table:
            for step in self.steps:
                step.arguments = {k: replaced(v, table) for k, v in step.arguments.items()}
            self.results = [replaced(v, table) for v in self.results]


def extent(size: Any) -> Any:
    """A size or a stride as an int, or as torch's expression where it depends on data.

    Expressions are compared by their structure; comparing torch's own symbolic ints would ask for the values.
    """
    if isinstance(size, int):
        return size
    expression = size.node.expr
    return int(expression) if expression.is_Integer else expression


def values_in(argument: Any) -> Iterator[Value]:
    """Every Value in an argument, in order."""
    if isinstance(argument, Value):
        yield argument
    elif isinstance(argument, list | tuple):
        for member in argument:
            yield from values_in(member)


def replaced(argument: Any, table: dict[Value, Value]) -> Any:
    """``argument`` with its Values looked up in ``table``, as often as there is an entry."""
    if isinstance(argument, Value):
        while argument in table:
            argument = table[argument]
        return argument
    if isinstance(argument, list | tuple):
        return [replaced(member, table) for member in argument]
    return argument


def read(program: ExportedProgram) -> Trace:
    """The trace of an exported program; submodules of no_grad and disabled autocast regions are inlined."""
    reader = _Reader(program)
    reader.run(program.graph_module)
    spec = program.call_spec
    return Trace(reader.inputs, reader.steps, reader.results, spec.in_spec, spec.out_spec, reader.leaves)


def read_definition(module: GraphModule, arguments: list[Value], origin: origins.Origin) -> Trace:
    """The calls of an operator's definition, traced with ``make_fx``, as if they stood at ``origin``."""
    reader = _BodyReader(origin)
    placeholders = (n for n in module.graph.nodes if n.op == "placeholder")
    results = reader.body(module, dict(zip(placeholders, arguments, strict=True)))
    return Trace(list(arguments), reader.steps, results)


class _BodyReader:
    """Reads the calls of a graph in order; ``steps`` collects them."""

    def __init__(self, origin: origins.Origin) -> None:
        self.steps: list[Step] = []
        self._origin = origin

    def body(self, module: GraphModule, table: dict[Node, Any]) -> list[Any]:
        """Append the graph's calls; its results. ``table`` holds what the placeholders stand for."""
        for node in module.graph.nodes:
            if node.op == "get_attr":
                table[node] = _attribute(module, str(node.target))
            elif node.op == "call_function":
                self._origin = origins.origin_of_node(_lined(node)) or self._origin
                table[node] = self._call(node, table)
            elif node.op == "output":
                results = _looked_up(node.args[0], table)
                return list(results) if isinstance(results, list | tuple) else [results]
        return []

    def _call(self, node: Node, table: dict[Node, Any]) -> Any:
        if node.target is operator.getitem:
            sequence, index = _looked_up(list(node.args), table)
            if isinstance(sequence, list):
                return sequence[index]
        inlined = _inlined_region(node, table)
        if inlined is not None:
            module, arguments = inlined
            inner = dict(zip((n for n in module.graph.nodes if n.op == "placeholder"), arguments, strict=True))
            return self.body(module, inner)
        values = node.meta.get("val")
        single = not isinstance(values, list | tuple)
        outputs = [Value(RESULT, v) for v in (values if isinstance(values, list | tuple) else [values])]
        self.steps.append(_step(node, table, outputs, dict(self._origin)))
        return outputs[0] if single else outputs


def _attribute(module: GraphModule, name: str) -> Any:
    """A submodule as it is; a tensor that the graph holds as a constant."""
    import torch

    held = getattr(module, name)
    return Value(CONSTANT, held, "", held) if isinstance(held, torch.Tensor) else held


class _Reader(_BodyReader):
    """Reads an exported program."""

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__(dict.fromkeys(("file", "function", "module", "code"), "") | {"line": 0})
        self.inputs: list[Value] = []
        #: every leaf of the arguments in order: a Value, or the constant that the trace was specialised to
        self.leaves: list[Any] = []
        self.results: list[Any] = []
        self._program = program

    def run(self, module: GraphModule) -> None:
        table: dict[Node, Any] = {}
        placeholders = iter(self._program.graph_signature.input_specs)
        shared: dict[Any, Value] = {}
        for node in module.graph.nodes:
            if node.op == "placeholder":
                table[node] = self._placeholder(node, next(placeholders), shared)
        self.results = self.body(module, table)

    def _placeholder(self, node: Node, spec: Any, shared: dict[Any, Value]) -> Any:
        import torch
        from torch._subclasses.fake_tensor import FakeTensor
        from torch.export.graph_signature import InputKind, TensorArgument

        if spec.kind == InputKind.USER_INPUT:
            if not isinstance(spec.arg, TensorArgument):
                self.leaves.append(spec.arg.value)
                return spec.arg.value
            value = Value(INPUT, node.meta["val"])
            self.inputs.append(value)
            self.leaves.append(value)
            return value
        name = str(spec.target)
        tables = (self._program.state_dict, self._program.constants)
        data: Any = next((table[name] for table in tables if name in table), None)
        if isinstance(data, torch.Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(data):
            raise ConvertError(
                "the model uses a transform of torch.func (grad, vjp, jvp, vmap), which torch.export does not follow",
                hint="use torch.autograd.grad, or write the derivative or the batched form out",
            )
        if isinstance(data, FakeTensor):
            raise ConvertError(
                f"the model holds a tensor without values, left by an earlier trace: {name}",
                hint="make the model, or what memorised that tensor, anew",
            )
        kind = CONSTANT if spec.kind == InputKind.CONSTANT_TENSOR else PARAM
        if kind == CONSTANT:
            # Like what is folded, which it may have been in another trace of the same model: it has no name.
            name, data = "", data.detach().cpu()
        value = Value(kind, node.meta.get("val"), name, data)
        # One tensor under two names is one parameter; the first name stays.
        return shared.setdefault(_identity(data), value)


def _identity(tensor: Any) -> Any:
    """Equal for two tensors that are the same memory seen the same way."""
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.numel() == 0:
        return id(tensor)
    memory = tensor.untyped_storage().data_ptr()
    return (memory, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)


def _lined(node: Node) -> Node:
    """The node, or the first of its body where it is a region, which has no line of its own."""
    import torch

    held = (a for a in node.all_input_nodes if a.op == "get_attr")
    bodies = (getattr(node.graph.owning_module, str(a.target), None) for a in held)
    body = next((b for b in bodies if isinstance(b, torch.fx.GraphModule)), None)
    return node if body is None else next((n for n in body.graph.nodes if n.op == "call_function"), node)


def _looked_up(argument: Any, table: dict[Node, Any]) -> Any:
    from torch.fx import Node

    if isinstance(argument, Node):
        return table[argument]
    if isinstance(argument, list | tuple):
        return [_looked_up(member, table) for member in argument]
    if isinstance(argument, slice):
        return argument
    return argument


def _inlined_region(node: Node, table: dict[Node, Any]) -> tuple[GraphModule, list[Any]] | None:
    """The body and arguments of a region that changes nothing at inference; None for any other call."""
    name = getattr(node.target, "__name__", "")
    arguments = _looked_up(list(node.args), table)
    if name == "wrap_with_set_grad_enabled":
        _, module, *rest = arguments
        return module, rest
    if name == "wrap_with_autocast":
        _, _, enabled, _, module, *rest = arguments
        return None if enabled else (module, rest)
    return None


def _step(node: Node, table: dict[Node, Any], outputs: list[Value], origin: origins.Origin) -> Step:
    overload: Any = node.target
    arguments = _looked_up(list(node.args), table)
    keywords = {k: _looked_up(v, table) for k, v in node.kwargs.items()}
    if not hasattr(overload, "_schema"):
        target = getattr(overload, "__name__", str(overload))
        return Step(target, None, {str(i): a for i, a in enumerate(arguments)} | keywords, outputs, origin)
    return Step(str(overload), overload, bound_arguments(overload, arguments, keywords), outputs, origin)


def bound_arguments(overload: Any, arguments: Sequence[Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by their names in the overload's schema, with its defaults."""
    bound: dict[str, Any] = {}
    for i, argument in enumerate(overload._schema.arguments):
        if i < len(arguments) and not argument.kwarg_only:
            bound[argument.name] = arguments[i]
        elif argument.name in keywords:
            bound[argument.name] = keywords[argument.name]
        else:
            bound[argument.name] = argument.default_value
    return bound
