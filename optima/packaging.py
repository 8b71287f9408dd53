"""Split plus linked artifacts -> ``model.meta`` (without its file list) and the files of the model folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from devices import DeviceRef
from optima.artifact.manifest import (
    FORMAT_VERSION,
    KERNEL_ABI,
    WEIGHTS,
    FormMeta,
    ModelMeta,
    SourceLine,
    SubgraphMeta,
    SymbolMeta,
    TensorMeta,
    TransferMeta,
    json_bytes,
    subgraph_meta_path,
)
from optima.artifact.weights import pack_weights
from optima.backends.base import Constant, SubgraphArtifact
from optima.graph import Graph, Op, Tensor
from optima.partition import Split, Subgraph
from optima.version import __version__
from torch2nx.pytree import leaf_paths


@dataclass(frozen=True)
class LinkedForm:
    """What a backend made of a subgraph for devices of a kind; ``folder`` lies in the subgraph's own, "" for itself."""

    devices: tuple[DeviceRef, ...]
    folder: str
    backend: str
    target: Mapping[str, Any]
    artifact: SubgraphArtifact


@dataclass(frozen=True)
class LinkedSubgraph:
    """A subgraph with its forms: the first choice, the alternatives, and the CPU's or why there is none."""

    subgraph: Subgraph
    first: LinkedForm
    alternatives: tuple[LinkedForm, ...] = ()
    fallback: LinkedForm | None = None
    no_fallback: str = ""

    @property
    def forms(self) -> tuple[LinkedForm, ...]:
        """All of them."""
        return (self.first, *self.alternatives, *([self.fallback] if self.fallback else []))


@dataclass(frozen=True)
class Package:
    """``model.meta`` still without hashes, and every other file by its path under the model's folder."""

    meta: ModelMeta
    files: Mapping[str, bytes]


def package(
    name: str,
    traced: Graph,
    graph: Graph,
    split: Split,
    linked: Sequence[LinkedSubgraph],
    folded: Sequence[str],
) -> Package:
    """Put the model folder together in memory. ``traced`` is the graph before folding, ``graph`` after.

    Deterministic: the result depends on the arguments alone.
    """
    model_constants = _model_constants(graph)
    forms = [(item.subgraph, form) for item in linked for form in item.forms]
    constants = [c for _, form in forms for c in form.artifact.constants] + list(model_constants.values())
    weights = pack_weights(constants)
    files: dict[str, bytes] = {WEIGHTS: weights}
    for part, form in forms:
        folder = _folder(part, form)
        files[subgraph_meta_path(folder)] = json_bytes(form.artifact.meta)
        for path, data in sorted(form.artifact.files.items()):
            files[f"{folder}/{path}"] = data
    meta = ModelMeta(
        format_version=FORMAT_VERSION,
        kernel_abi=KERNEL_ABI,
        name=name,
        toolchain=_toolchain(),
        graph_sha256=graph_digest(traced),
        inputs=tuple(_tensor_meta(graph.tensors[n], graph.tensors[n].argument) for n in graph.inputs),
        outputs=tuple(
            _tensor_meta(graph.tensors[n], path)
            for n, path in zip(graph.outputs, leaf_paths(graph.out_tree), strict=True)
        ),
        in_tree=graph.in_tree,
        out_tree=graph.out_tree,
        symbols=tuple(
            SymbolMeta(name=s.name, min=s.min, max=s.max, count=_tensor_meta(graph.tensors[s.count]), axes=s.axes)
            for s in graph.symbols
        ),
        borders=tuple(_tensor_meta(graph.tensors[n]) for n in split.borders),
        constants={n: c.key for n, c in model_constants.items()},
        subgraphs=tuple(_subgraph_meta(item) for item in linked),
        transfers=tuple(
            TransferMeta(tensor=t.tensor, source=t.source, target=t.target, nbytes=t.nbytes, kind=t.kind)
            for t in split.transfers
        ),
        folded=tuple(folded),
        source_map=tuple(line for op in traced.ops for line in _source_lines(op)),
        files=(),
        request_bytes=_request_bytes(graph, split, linked),
        weight_bytes=sum({c.key: c.array.nbytes for c in constants}.values()),
    )
    return Package(meta, files)


def graph_digest(graph: Graph) -> str:
    """sha256 (hex) of the traced graph's text without origins and border layouts.

    The same model traced from another folder, or with other ``tf_flip``, has the same digest.
    """
    ops = tuple(replace(op, origins=(), devices=(), kernel="") for op in graph.ops)
    tensors = {name: replace(t, layout="") for name, t in graph.tensors.items()}
    bare = replace(graph, name="model", ops=ops, tensors=tensors)
    return hashlib.sha256(bare.dump().encode()).hexdigest()


def _folder(subgraph: Subgraph, form: LinkedForm) -> str:
    own = "S" + subgraph.name[1:]
    return f"{own}/{form.folder}" if form.folder else own


def _model_constants(graph: Graph) -> dict[str, Constant]:
    """Parameters that are model outputs themselves, or counts."""
    found: dict[str, Constant] = {}
    for name in graph.results:
        tensor = graph.tensors[name]
        if tensor.is_param and tensor.value is not None:
            recipe = tensor.recipe if tensor.recipe is not None else ["param", tensor.source]
            found[name] = Constant(name, tensor.value, tensor.dtype, recipe)
    return found


def _tensor_meta(tensor: Tensor, label: str = "") -> TensorMeta:
    return TensorMeta(name=tensor.name, shape=tensor.shape, dtype=tensor.dtype, layout=tensor.layout, label=label)


def _subgraph_meta(item: LinkedSubgraph) -> SubgraphMeta:
    part = item.subgraph
    return SubgraphMeta(
        **{**_form_fields(part, item.first), "devices": tuple(map(str, part.devices))},
        name=part.name,
        inputs=part.graph.inputs,
        outputs=part.graph.outputs,
        ops=tuple(op.name for op in part.graph.ops),
        alternatives=tuple(FormMeta(**_form_fields(part, form)) for form in item.alternatives),
        fallback=FormMeta(**_form_fields(part, item.fallback)) if item.fallback else None,
        no_fallback=item.no_fallback,
    )


def _form_fields(part: Subgraph, form: LinkedForm) -> dict[str, Any]:
    return {
        "folder": _folder(part, form),
        "devices": tuple(map(str, form.devices)),
        "backend": form.backend,
        "target": dict(form.target),
        "produced_by": dict(form.artifact.produced_by),
        "executed_on": form.artifact.executed_on,
    }


def _source_lines(op: Op) -> list[SourceLine]:
    return [
        SourceLine(op=op.name, kind=op.op, file=o.file, line=o.line, function=o.function, module=o.module, code=o.code)
        for o in op.origins[:1]
    ]


def _toolchain() -> dict[str, str]:
    found = {"optima": __version__}
    for tool in ("torch", "apache-tvm", "numpy"):
        try:
            found[tool] = version(tool)
        except PackageNotFoundError:
            continue
    return found


def _request_bytes(graph: Graph, split: Split, linked: Sequence[LinkedSubgraph]) -> int:
    """What one request needs at most: inputs, every produced border or output, and each subgraph's largest arena."""
    names = dict.fromkeys((*graph.inputs, *(n for item in linked for n in item.subgraph.graph.outputs)))
    borders = sum(-(-graph.type_of(n).nbytes // 64) * 64 for n in names)
    arenas = (max(int(form.artifact.meta.get("arena_bytes", 0)) for form in item.forms) for item in linked)
    return borders + sum(arenas)
