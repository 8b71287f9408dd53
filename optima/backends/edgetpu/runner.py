"""A TFLite model under LiteRT: the same on the machine that compiles and on the one that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from devices import InternalError
from optima.backends.model_ports import Port
from optima.graph import TensorType
from optima.tools import NotUsableHere

Array = np.ndarray[Any, Any]
#: a library's name, and its options
Delegate = tuple[str, Mapping[str, str]]


class LitertMissing(NotUsableHere):
    """A model compiled for the Edge TPU on a machine without LiteRT, which runs it or hands it to the device.

    Example: ``load_model`` of such a model where ``ai-edge-litert`` is not installed.
    Fix: ``pip install '.[tpu]'`` in Optima's clone; ``ai-edge-litert`` alone is enough to run models.
    """


def litert() -> Any:
    """The interpreter's module. Raises LitertMissing."""
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise LitertMissing(
            "ai-edge-litert is not installed here, and a model for the Edge TPU runs by it",
            hint="pip install ai-edge-litert",
        ) from error
    return interpreter


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        raise InternalError(f"LiteRT refuses the model: {error}") from error


def _interpreter(model: bytes, threads: int, delegate: Delegate | None) -> Any:
    module = litert()
    delegates = [] if delegate is None else [module.load_delegate(delegate[0], dict(delegate[1]))]
    return module.Interpreter(
        model_content=model,
        num_threads=threads,
        experimental_delegates=delegates,
        # Without XNNPACK: its kernels differ from one processor to the next.
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )


def ports_of(model: bytes) -> tuple[list[Port], list[Port]]:
    """A model's inputs and outputs; it need not be one that runs without its device.

    Raises LitertMissing, and InternalError for what LiteRT does not read.
    """
    with _refusals():
        found = _interpreter(model, 1, None)
        inputs, outputs = found.get_input_details(), found.get_output_details()
    return [_port(tensor) for tensor in inputs], [_port(tensor) for tensor in outputs]


def _port(tensor: Mapping[str, Any]) -> Port:
    return Port("", TensorType(tuple(tensor["shape"].tolist()), np.dtype(tensor["dtype"]).name))


class Runner:
    """One interpreter with memory of its own; one run at a time.

    ``delegate`` hands the operators that it knows to a device.
    """

    def __init__(self, model: bytes, threads: int = 1, delegate: Delegate | None = None) -> None:
        """Raises LitertMissing, and InternalError for a model or a delegate that the runtime refuses."""
        with _refusals():
            self._interpreter = _interpreter(model, threads, delegate)
            self._interpreter.allocate_tensors()
        self._inputs = [d["index"] for d in self._interpreter.get_input_details()]
        self._outputs = [d["index"] for d in self._interpreter.get_output_details()]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Copies of the outputs, in the model's order. Raises InternalError where an operator fails."""
        try:
            for index, array in zip(self._inputs, inputs, strict=True):
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise InternalError(f"LiteRT failed: {error}") from error
        return [self._interpreter.get_tensor(index) for index in self._outputs]
