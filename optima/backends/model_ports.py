"""A subgraph as one model file: whether its meta, its file and ``model.meta`` speak of the same inputs and outputs.

Checked at load: hashes say that a file is as it was written, not that it belongs to its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from devices import Problem, UserError
from optima.backends.base import SubgraphView
from optima.backends.meta_reading import AGAIN
from optima.graph import TensorType

#: what a quantised model reads and writes where PyTorch has the narrower one
_WIDENED = {"float16": "float32"}


class BadBundle(UserError):
    """A subgraph whose meta and model file do not belong together, or not to its ``model.meta``.

    Example: a model folder into which another model's ``.qdq.onnx`` was copied. Fix: compile the model again.
    """


@dataclass(frozen=True)
class Port:
    """An input or output of a model; ``name`` is "" where its format keeps none."""

    name: str
    type: TensorType

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} {_shown(self.type)}"


class BorderMeta(BaseModel):
    """A border tensor in the meta of a quantised subgraph."""

    model_config = ConfigDict(frozen=True)

    name: str
    shape: tuple[int, ...]
    dtype: str


class QuantisedMeta(BaseModel):
    """What loading needs of the meta of a quantised subgraph; its other keys are for readers."""

    model_config = ConfigDict(frozen=True)

    format_version: int = Field(ge=1, le=1)
    inputs: tuple[BorderMeta, ...]
    outputs: tuple[BorderMeta, ...]


def file_of(view: SubgraphView, name: str) -> bytes:
    """A file that the meta names. Raises BadBundle."""
    if name not in view.files:
        raise BadBundle(f"{view.name} has no {name}", hint=AGAIN)
    return view.files[name]


def refuse_other_borders(view: SubgraphView, meta: QuantisedMeta) -> None:
    """Raise BadBundle unless a quantised subgraph's meta has the inputs and outputs that ``model.meta`` states."""
    inputs, outputs = ([Port(b.name, TensorType(b.shape, b.dtype)) for b in bs] for bs in (meta.inputs, meta.outputs))
    refuse_other_ports(view, inputs, outputs, f"{view.name}.meta", widened=True)


def refuse_other_ports(
    view: SubgraphView, inputs: Sequence[Port], outputs: Sequence[Port], of: str, *, widened: bool = False
) -> None:
    """Raise BadBundle with all that differs, unless these ports (``of`` says whose) are the subgraph's, in its order.

    ``widened``: the model computes in float32 what crosses the border in float16.
    """
    problems = [
        *_differences(view, "inputs", view.inputs, inputs, widened),
        *_differences(view, "outputs", view.outputs, outputs, widened),
    ]
    if problems:
        raise BadBundle(
            f"{view.name}: {of} has other inputs or outputs than the subgraph", problems=problems[:20], hint=AGAIN
        )


def _differences(
    view: SubgraphView, what: str, names: Sequence[str], ports: Sequence[Port], widened: bool
) -> list[Problem]:
    if len(ports) != len(names):
        return [Problem(what, f"are {len(ports)} instead of {len(names)}: {', '.join(map(str, ports[:8])) or 'none'}")]
    problems = []
    for name, port in zip(names, ports, strict=True):
        wanted = view.types.get(name, port.type)
        if widened:
            wanted = TensorType(wanted.shape, _WIDENED.get(wanted.dtype, wanted.dtype))
        if port.name not in ("", name) or port.type != wanted:
            problems.append(Problem(name, f"of {_shown(wanted)} is {port} there"))
    return problems


def _shown(kind: TensorType) -> str:
    return f"{kind.dtype}{list(kind.shape)}"
