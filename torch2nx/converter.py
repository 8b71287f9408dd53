"""``Torch2GraphConverter``: a PyTorch module in, a networkx graph out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx

from torch2nx import allocation_template, gpickle, plot, schema
from torch2nx.errors import ConvertError, PlotError
from torch2nx.refusals import Refusals

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    from torch2nx.samples import Call
    from torch2nx.trace import Trace


class Torch2GraphConverter:
    """Traces models one at a time.

    ``torch_flip=True`` says that 4-D tensors in ``fake_torch_data`` are NHWC: they are flipped to NCHW before
    tracing. ``tf_flip=True``, or a list of argument names, says that the compiled model's 4-D floating-point
    inputs and outputs are NHWC. Neither changes names or ops.

    >>> graph = Torch2GraphConverter().convert(model=model.eval(), fake_torch_data=[torch.rand(1, 3, 32, 32)])
    """

    def __init__(self, tf_flip: bool | Sequence[str] = False, torch_flip: bool = False) -> None:
        named = isinstance(tf_flip, str | list | tuple) and all(isinstance(name, str) for name in tf_flip)
        if not (isinstance(tf_flip, bool) or named):
            raise ConvertError(f"tf_flip is {tf_flip!r:.40}", hint="give True, False, or a list of argument names")
        self.tf_flip = tf_flip
        self.torch_flip = torch_flip
        self._module: torch.nn.Module | None = None
        self._program: ExportedProgram | None = None
        self._graph: nx.DiGraph | None = None

    def convert(
        self,
        *,
        model: torch.nn.Module,
        fake_torch_data: Sequence[Any],
        gpu: bool = False,
        fake_torch_kwargs: Mapping[str, Any] | None = None,
    ) -> nx.DiGraph:
        """The graph of ``model(*fake_torch_data, **fake_torch_kwargs)`` (contract: torch2nx.schema).

        ``fake_torch_data`` holds one tensor, or a nest of tensors, per positional argument; only shapes,
        dtypes and non-tensor values matter, and the graph is fixed to them. ``gpu=True`` traces on the first
        CUDA device where there is one; the graph is the same without. The module is left as it was.

        Raises ConvertError when the module cannot be traced or is not the same function at each call, and
        UnsupportedOp, listing all of them, when it uses operators that Optima does not have; both together are
        one ConvertError.
        """
        import torch

        from torch2nx import aten, bounds, build, decompose, layouts, samples, simplify, train_mode

        if not isinstance(model, torch.nn.Module):
            raise ConvertError(
                f"model is a {type(model).__name__}, not a torch.nn.Module",
                hint="pass an instance of your module",
            )
        if isinstance(model, torch.jit.ScriptModule):
            raise ConvertError(
                f"{type(model).__name__} is TorchScript, which torch.export does not trace",
                hint="pass the module that was scripted or traced",
            )
        call = samples.bind(model, fake_torch_data, fake_torch_kwargs, torch_flip=self.torch_flip)
        with Refusals() as refusals:
            program, memory = _exported(model, call, gpu)
            refusals.add(memory)
            trace = _functional_trace(program, refusals)
            refusals.add(train_mode.random_dropout(trace))
            bounds.bound_sizes(trace)
            simplify.simplify(trace)
            if decompose.decompose(trace, aten.accepted()):
                simplify.simplify(trace)
            graph = build.build(trace, call.names, call.optional)
        layouts.record_layouts(graph, self.tf_flip)
        schema.validate(graph)
        self._module, self._program, self._graph = model, program, graph
        return graph

    def reset_module(self) -> None:
        """Forget the module and its trace, which frees their memory. The last graph stays for plotting."""
        self._module = None
        self._program = None

    @staticmethod
    def export_to_gpickle(path: str | os.PathLike[str], g: nx.DiGraph) -> None:
        """Write a graph in one atomic step; ``~`` expands. Raises GraphError when it cannot be written."""
        gpickle.write(path, g)

    @staticmethod
    def get_onedevice_allocator(
        json_path: str | os.PathLike[str], device: str, gpickle_path: str | os.PathLike[str]
    ) -> None:
        """Write the template map, every op of the graph in ``gpickle_path`` on ``device`` ("X64" or "X64:1").

        Raises MalformedDevice for what is no device, and GraphError for what is no graph.
        """
        allocation_template.write_template(json_path, device, gpickle_path)

    def plot_network(
        self,
        directory: str | os.PathLike[str],
        filename: str,
        map_json: str | os.PathLike[str],
        figsizenum: int = 5,
    ) -> Path:
        """Draw the last converted graph, one colour per device of the map and one for all tensors.

        ``figsizenum`` is the picture's size in inches. Returns the path of the picture, a PNG unless
        ``filename`` says otherwise. Raises PlotError without pygraphviz, before ``convert``, or for a map
        that does not fit.
        """
        if self._graph is None:
            raise PlotError("there is no graph to draw yet", hint="call convert() first")
        return plot.plot_network(self._graph, Path(directory), filename, Path(map_json), figsizenum)


def _exported(model: torch.nn.Module, call: Call, gpu: bool) -> tuple[ExportedProgram, ConvertError | None]:
    from torch2nx import exporting, samples, train_mode

    with train_mode.eval_mode(model):
        traced, call = samples.on_gpu(model, call) if gpu else (model, call)
        return exporting.export(traced, call)


def _functional_trace(program: ExportedProgram, refusals: Refusals) -> Trace:
    """The trace without in-place ops: by our own pass, or by torch's where views are written through."""
    from torch2nx import exporting, running_statistics, trace
    from torch2nx.functionalize import functionalize, state_writes
    from torch2nx.memory import ViewWrite

    found = trace.read(program)
    running_statistics.write_out(found)
    refusal = state_writes(found)
    try:
        functionalize(found)
    except ViewWrite:
        found = trace.read(exporting.functional(program))
        refusal = refusal or state_writes(found)
        functionalize(found)
    refusals.add(refusal)
    return found
