"""A TFLite model under LiteRT: the same on the machine that compiles and on the one that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices import InternalError
from optima.tools import NotUsableHere

Array = np.ndarray[Any, Any]


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


class Runner:
    """One interpreter with memory of its own; one run at a time.

    ``delegate`` (a library's name, its options) hands the operators that it knows to a device.
    """

    def __init__(self, model: bytes, threads: int = 1, delegate: tuple[str, Mapping[str, str]] | None = None) -> None:
        """Raises LitertMissing, and InternalError for a model or a delegate that the runtime refuses."""
        module = litert()
        try:
            delegates = [] if delegate is None else [module.load_delegate(delegate[0], dict(delegate[1]))]
            self._interpreter = module.Interpreter(
                model_content=model,
                num_threads=threads,
                experimental_delegates=delegates,
                # Without XNNPACK: its kernels differ from one processor to the next.
                experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError, OSError) as error:
            raise InternalError(f"LiteRT refuses the model: {error}") from error
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
