"""``model.meta`` and what every ``<subgraph>.meta`` has in common, as pydantic models. Format version 1."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION = 1
#: the calling convention of kernels in this artifact; see docs/kernel_abi.md
KERNEL_ABI = 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorMeta(_Strict):
    """A model input, output or border tensor. ``shape`` is PyTorch's; ``layout`` "NHWC" says that the caller sees
    the tensor with its channels last."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str = ""
    #: the user's argument name for inputs, the pytree path for outputs
    label: str = ""


class FileMeta(_Strict):
    """A file of the artifact, by its path under the root."""

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class TransferMeta(_Strict):
    """A border tensor on its way between two subgraphs; ``alias`` moves no byte."""

    tensor: str
    source: str
    target: str
    nbytes: int
    kind: Literal["alias", "copy"]


class SubgraphMeta(_Strict):
    """One subgraph, in execution order. ``devices`` is its preference list, ``backend`` who compiled it."""

    name: str
    folder: str
    devices: tuple[str, ...]
    backend: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    ops: tuple[str, ...]
    target: dict[str, Any]
    produced_by: dict[str, str] = {}
    executed_on: str = ""


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
    #: tensors that cross a border between subgraphs, in order of production
    borders: tuple[TensorMeta, ...]
    #: constants that are model outputs or border inputs themselves: tensor name -> entry in the weights file
    constants: dict[str, str] = {}
    subgraphs: tuple[SubgraphMeta, ...]
    transfers: tuple[TransferMeta, ...]
    folded: tuple[str, ...]
    source_map: tuple[SourceLine, ...]
    files: tuple[FileMeta, ...]
    #: bytes that one request needs beside the weights; bytes of the weights
    request_bytes: int
    weight_bytes: int
