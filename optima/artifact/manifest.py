"""``model.meta`` and what every ``<subgraph>.meta`` has in common, as pydantic models. Format version 1.

docs/artifact.md describes every key for readers in other languages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION = 1
#: the calling convention of kernels in this artifact; see docs/kernel_abi.md
KERNEL_ABI = 1

MODEL_META = "model.meta"
WEIGHTS = "weights.safetensors"
#: times and host: the one file outside the determinism promise, hence outside ``files`` and not checked
REPORT = "report.json"

Dtype = Annotated[
    str, Field(pattern=r"^(float64|float32|float16|bfloat16|int64|int32|int16|int8|uint8|bool|complex64)$")
]
Shape = tuple[Annotated[int, Field(ge=0)], ...]
Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorMeta(_Strict):
    """A model input, output or border tensor. ``shape`` is PyTorch's; ``layout`` "NHWC" says that the caller
    sees the tensor with its channels last."""

    name: str
    shape: Shape
    dtype: Dtype
    layout: str = ""
    #: the user's argument name for inputs, the pytree path for outputs
    label: str = ""


class SymbolMeta(_Strict):
    """A size of outputs that is known only at run time, from ``min`` to ``max``: ``count``, an int64 scalar, holds it.

    ``axes`` are (output tensor, axis) pairs. Such an output has ``max`` rows there, and the caller gets the first
    ``count``.
    """

    name: str
    min: Count
    max: Count
    count: TensorMeta
    axes: tuple[tuple[str, Count], ...]


class FileMeta(_Strict):
    """A file of the artifact, by its path under the root (``/`` between the parts)."""

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: Count


class TransferMeta(_Strict):
    """A border tensor on its way between two subgraphs; ``alias`` moves no byte."""

    tensor: str
    source: str
    target: str
    nbytes: Count
    kind: Literal["alias", "copy"]


class FormMeta(_Strict):
    """A subgraph as one backend compiled it for one kind. ``devices``: those of the preference list that it serves."""

    folder: str
    devices: tuple[str, ...]
    backend: str
    target: dict[str, Any]
    produced_by: dict[str, str] = {}
    executed_on: str = ""

    @property
    def meta_path(self) -> str:
        """The path of its ``<subgraph>.meta`` under the root."""
        return subgraph_meta_path(self.folder)


class SubgraphMeta(FormMeta):
    """One subgraph, in execution order. ``devices`` is its whole preference list; the fields of a form are those of its
    first choice.

    ``alternatives`` are the forms for the list's other kinds. ``fallback`` is the form for the CPU that runs where
    ``fallback=True`` allows it and nothing else can; ``no_fallback`` says why there is none.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    ops: tuple[str, ...]
    alternatives: tuple[FormMeta, ...] = ()
    fallback: FormMeta | None = None
    no_fallback: str = ""

    @property
    def forms(self) -> tuple[FormMeta, ...]:
        """The first choice, the alternatives, and the fallback if there is one."""
        return (self, *self.alternatives, *([self.fallback] if self.fallback else []))

    def form_for(self, device: str) -> FormMeta:
        """The form that a device of the preference list runs."""
        return next((form for form in self.alternatives if device in form.devices), self)


class SourceLine(_Strict):
    """Where an op comes from in the user's Python."""

    op: str
    kind: str
    file: str
    line: int
    function: str
    module: str
    code: str


class ModelMeta(_Strict):
    """``model.meta``: all that the runtime needs to know before it opens another file."""

    format_version: int
    kernel_abi: int
    name: str
    toolchain: dict[str, str]
    #: sha256 of the graph's text form, which ties the artifact to a traced module (not to its weights)
    graph_sha256: str
    inputs: tuple[TensorMeta, ...]
    outputs: tuple[TensorMeta, ...]
    in_tree: str
    out_tree: str
    symbols: tuple[SymbolMeta, ...] = ()
    #: tensors that cross a border between subgraphs, in order of production
    borders: tuple[TensorMeta, ...]
    #: constants that are model outputs or border inputs themselves: tensor name -> entry in the weights file
    constants: dict[str, str] = {}
    subgraphs: tuple[SubgraphMeta, ...]
    transfers: tuple[TransferMeta, ...]
    folded: tuple[str, ...]
    source_map: tuple[SourceLine, ...]
    #: every file but ``model.meta`` and ``report.json``, by path; the writer fills it
    files: tuple[FileMeta, ...] = ()
    #: bytes that one request needs beside the weights; bytes of the weights
    request_bytes: Count
    weight_bytes: Count

    @property
    def tensors(self) -> dict[str, TensorMeta]:
        """Everything that crosses a border of a subgraph or of the model, by name."""
        counts = [symbol.count for symbol in self.symbols]
        return {t.name: t for t in (*counts, *self.borders, *self.outputs, *self.inputs)}

    def to_bytes(self) -> bytes:
        """The file: deterministic JSON, ``format_version`` first, then keys in order of the alphabet."""
        return json_bytes(self.model_dump(mode="json"))


def subgraph_meta_path(folder: str) -> str:
    """``Subgraph_0`` -> ``Subgraph_0/subgraph_0.meta``; an alternative's gives ``…/alternative_1.meta``."""
    return f"{folder}/{PurePosixPath(folder).name.lower()}.meta"


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """``value`` as the JSON that every ``.meta`` is written in: sorted keys but ``format_version`` first,
    UTF-8, one space of indentation, a newline at the end. Raises ValueError for NaN: JSON has none."""
    ordered = json.loads(json.dumps(value, sort_keys=True, allow_nan=False))
    if "format_version" in ordered:
        ordered = {"format_version": ordered.pop("format_version"), **ordered}
    return (json.dumps(ordered, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
