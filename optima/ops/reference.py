"""The oracle: run an op, or a whole graph, with torch; and derive output types from the same references."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from devices import InternalError, UserError
from optima.graph import Graph, Op, TensorType
from optima.ops.registry import entry_of
from torch2nx.errors import GraphError

if TYPE_CHECKING:
    import torch


class CudaNeeded(UserError):
    """A float16 or bfloat16 model has to be run with PyTorch, which has no CPU kernel for one of its operators.

    Example: ``sample_inputs`` for a half model with ``avg_pool3d`` before an op on ``"HEXAGON:0"``.
    Fix: ``need_gpu=True`` on a machine with a CUDA device, or convert the float32 model.
    """


def aten(name: str) -> Callable[..., Any]:
    """A reference that calls ``torch.ops.aten.<name>``; torch picks the overload from the arguments.

    Operand roles and attribute names are aten's argument names, so nothing needs to be spelt out.
    ``aten("conv2d.default")`` pins an overload.
    """
    packet, _, overload = name.partition(".")

    def call(**arguments: Any) -> Any:
        import torch

        function = getattr(torch.ops.aten, packet)
        if overload:
            function = getattr(function, overload)
        return function(**arguments)

    return call


def torch_op(source: str) -> Callable[..., Any]:
    """A reference that calls the ``torch.library`` operator ``source``, such as ``"mylib::cube"``.

    On fake tensors it is what ``register_fake`` gave, so the operator's own shape rule is the entry's.
    """
    namespace, _, rest = source.partition("::")
    packet, _, overload = rest.partition(".")

    def call(**arguments: Any) -> Any:
        import torch

        function = getattr(getattr(torch.ops, namespace), packet)
        if overload:
            function = getattr(function, overload)
        return function(**arguments)

    return call


def forget_types() -> None:
    """Forget all derived types: an entry was replaced."""
    _infer.cache_clear()


def to_torch(value: np.ndarray[Any, Any], dtype: str) -> torch.Tensor:
    """A torch tensor of ``dtype`` over a numpy array; bfloat16 comes as uint16 bits."""
    import torch

    array = np.ascontiguousarray(value).reshape(value.shape)
    if not array.flags.writeable:
        array = array.copy()
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor


def to_numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """The dense numpy form of a tensor; bfloat16 becomes its uint16 bits."""
    import torch

    dense = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if dense.dtype == torch.bfloat16:
        dense = dense.view(torch.uint16)
    return np.ascontiguousarray(dense.numpy()).reshape(tuple(dense.shape))


def dtype_name(dtype: torch.dtype) -> str:
    """``torch.float32`` -> ``"float32"``."""
    return str(dtype).removeprefix("torch.")


def call_reference(op: Op, operands: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Run one op's reference on tensors given in the order of ``op.inputs``.

    Returns one tensor per output. Raises CudaNeeded where the CPU has no kernel for half precision, and whatever else
    torch raises when the operands do not fit.
    """
    import torch

    entry = entry_of(op.op)
    if entry is None:
        raise GraphError(
            f"there is no operator named {op.op!r}",
            problems=[op.problem("unknown operator")],
            hint="if it is one of your own, import the module that registers it first",
        )
    arguments: dict[str, Any] = {}
    for role, tensor in zip(op.roles, operands, strict=True):
        head, dot, index = role.partition(".")
        if dot:
            # `indices.2` may follow an absent `indices.1`: aten takes None there.
            members = arguments.setdefault(head, [])
            members.extend([None] * (int(index) + 1 - len(members)))
            members[int(index)] = tensor
        else:
            arguments[role] = tensor
    for key, value in {**entry.attrs, **op.attrs}.items():
        # An attribute's default gives way to an operand of its name (clamp's min, a number or a tensor).
        arguments.setdefault(key, _torch_attr(key, value))
    try:
        result = entry.reference(**arguments)
    except RuntimeError as error:
        raise _cuda_needed(op, error) or error from None
    results = (result,) if isinstance(result, torch.Tensor) else tuple(result)
    return results[: len(op.outputs)] if entry.internal is False else results


def _cuda_needed(op: Op, error: RuntimeError) -> CudaNeeded | None:
    """What torch says where the CPU lacks a kernel for half precision, in the user's terms."""
    found = re.search(r"not implemented for '(Half|BFloat16)'", str(error))
    if found is None:
        return None
    dtype = {"Half": "float16", "BFloat16": "bfloat16"}[found[1]]
    return CudaNeeded(
        f"PyTorch cannot run {op.op} of {dtype} on the CPU",
        problems=[op.problem(f"torch: {str(error).splitlines()[0]}")],
        hint="pass need_gpu=True on a machine with a CUDA device, or convert the float32 model: model.float()",
    )


def _torch_attr(key: str, value: Any) -> Any:
    import torch

    if key in ("dtype", "out_dtype") and isinstance(value, str):
        return getattr(torch, value)
    return list(value) if isinstance(value, tuple) else value


def infer_types(op: Op, operand_types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    """The types that the op's own rule (its reference, on fake tensors) derives.

    Raises GraphError with torch's reason when the operands do not fit.
    """
    return _infer(op.op, op.roles, _Attrs(op.attrs), tuple(operand_types), len(op.outputs))


class _Attrs:
    """Attributes as a cache key: by their text, since 0, 0.0 and False are equal to Python but not to torch."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)
        self.text = repr(sorted((k, _listed(v)) for k, v in values.items()))

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Attrs) and self.text == other.text


def _listed(value: Any) -> Any:
    return [_listed(v) for v in value] if isinstance(value, list | tuple) else value


@lru_cache(maxsize=65536)
def _infer(
    name: str,
    roles: tuple[str, ...],
    attrs: _Attrs,
    operand_types: tuple[TensorType, ...],
    outputs: int,
) -> tuple[TensorType, ...]:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    op = Op(name, name, roles, roles, tuple(str(i) for i in range(outputs)), attrs.values)
    with FakeTensorMode(), torch.no_grad():
        operands = [torch.empty(t.shape, dtype=getattr(torch, t.dtype)) for t in operand_types]
        try:
            results = call_reference(op, operands)
        except GraphError:
            raise
        # Any refusal of torch's is the answer here: its rules raise many types of their own.
        except Exception as error:  # noqa: BLE001
            raise GraphError(f"{name} does not take these operands: {error}") from error
    return tuple(TensorType(tuple(int(d) for d in r.shape), dtype_name(r.dtype)) for r in results)


def run_graph(
    graph: Graph,
    inputs: Mapping[str, np.ndarray[Any, Any]],
    *,
    watch: Callable[[Op, tuple[torch.Tensor, ...]], None] | None = None,
    device: str = "cpu",
) -> dict[str, np.ndarray[Any, Any]]:
    """Run a graph op by op with torch. ``inputs`` and the result map tensor names to dense arrays.

    ``watch(op, results)`` is called after each op. Tensors are dropped after their last use. ``device`` is torch's
    name of where they lie. Raises CudaNeeded for an operator without a CPU kernel for half precision.
    """
    import torch

    values: dict[str, torch.Tensor] = {
        name: to_torch(inputs[name], graph.tensors[name].dtype).to(device) for name in graph.inputs
    }
    last = {name: op.name for op in graph.ops for name in op.inputs}
    keep = set(graph.outputs)
    with torch.no_grad():
        for op in graph.ops:
            operands = [_operand(graph, values, name).to(device) for name in op.inputs]
            results = call_reference(op, operands)
            if watch is not None:
                watch(op, results)
            # A view would alias its operand: contiguous() keeps values independent of later drops.
            values.update(zip(op.outputs, results, strict=True))
            for name in op.inputs:
                if last[name] == op.name and name not in keep:
                    values.pop(name, None)
    return {name: to_numpy(_operand(graph, values, name)) for name in graph.outputs}


def _operand(graph: Graph, values: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    if name in values:
        return values[name]
    tensor = graph.tensors[name]
    if tensor.value is None:
        raise InternalError(f"tensor {name!r} has no value to run the reference with")
    return to_torch(tensor.value, tensor.dtype)
