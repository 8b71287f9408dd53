"""The representative data, checked before anything is compiled, and where the model is run on them."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devices import Problem, UserError
from optima.graph import Graph
from torch2nx.errors import ArgumentsError
from torch2nx.pytree import flatten_inputs

if TYPE_CHECKING:
    import torch
_LOG = logging.getLogger(__name__)


class SampleError(UserError):
    """``sample_inputs`` that do not fit the model. All misfits are listed.

    Example: ``optimize(..., sample_inputs=[torch.rand(1, 3)])``. Fix: a list of tuples, one tensor per input.
    """


_NPZ = (
    "np.savez(path, x=np.stack(samples)): an array per argument of the module; its first axis counts the samples, each "
    "of which has the shape that the module takes, batch axis included"
)


def read_samples(path: Path) -> list[Mapping[str, torch.Tensor]]:
    """Samples from an ``.npz`` of one array per argument of the module: ``array[k]`` is that argument of the k-th.

    Raises SampleError for a file that cannot be read and for arrays of different lengths.
    """
    import torch

    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise SampleError(f"the samples {path} are no .npz but one array", hint=_NPZ)
        with stored:
            arrays = {name: np.asarray(stored[name]) for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SampleError(f"the samples {path} cannot be read: {error}", hint=_NPZ) from error
    strange = [Problem(name, f"holds {a.dtype}") for name, a in arrays.items() if a.dtype.kind not in "biufc"]
    if strange:
        raise SampleError(f"{path} holds something that is no number", problems=strange, hint=_NPZ)
    counts = {array.shape[:1] for array in arrays.values()}
    if len(counts) != 1 or () in counts:
        rows = [Problem(name, f"has shape {list(array.shape)}") for name, array in arrays.items()]
        raise SampleError(f"{path} does not hold one row per sample", problems=rows, hint=_NPZ)
    ((count,),) = counts
    return [
        {name: torch.tensor(array[k].astype(array.dtype.newbyteorder("="))) for name, array in arrays.items()}
        for k in range(count)
    ]


def check_samples(graph: Graph, samples: Sequence[Any] | None) -> None:
    """Raises SampleError listing every sample of the wrong number, shape or dtype."""
    if samples is None:
        return
    if not isinstance(samples, list | tuple):
        raise SampleError(f"sample_inputs is a {type(samples).__name__}", hint="pass a list of tuples of torch tensors")
    problems = [p for i, sample in enumerate(samples) for p in _misfits(graph, i, sample)]
    if problems:
        raise SampleError(
            f"{len(problems)} of the sample inputs do not fit the model",
            problems=problems,
            hint="each sample is a tuple of what module(*sample) takes, or a dict of its keyword arguments",
        )


def _misfits(graph: Graph, index: int, sample: object) -> list[Problem]:
    where = f"sample_inputs[{index}]"
    if not isinstance(sample, list | tuple | Mapping):
        return [Problem(where, f"is a {type(sample).__name__}, not a tuple of tensors")]
    try:
        leaves = (
            flatten_inputs(graph.in_tree, (), sample)
            if isinstance(sample, Mapping)
            else flatten_inputs(graph.in_tree, sample)
        )
    except ArgumentsError as error:
        rows = error.problems or (Problem("", error.message),)
        return [Problem(f"{where} {row.subject}".rstrip(), row.reason) for row in rows]
    problems = []
    for value, name in zip(leaves, graph.inputs, strict=True):
        tensor = graph.tensors[name]
        if not _is_dense(value):
            found = f"is a {type(value).__name__}, not a dense torch tensor with data"
            problems.append(Problem(f"{where} {tensor.argument or name}", found))
            continue
        shape = tuple(getattr(value, "shape", ()))
        dtype = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
        if shape != tensor.shape or dtype != tensor.dtype:
            expected = f"{tensor.dtype}{list(tensor.shape)}"
            found = f"{dtype}{list(shape)}"
            problems.append(Problem(f"{where} {tensor.argument or name}", f"is {found}, not {expected}"))
    return problems


def _is_dense(value: object) -> bool:
    """Whether there are numbers in it that can be laid out one after the other: in no sparse and no meta tensor."""
    import torch

    return isinstance(value, torch.Tensor) and value.layout is torch.strided and value.device.type != "meta"


def torch_device(need_gpu: bool) -> str:
    """torch's name of the device that the model is run on its samples on: with ``need_gpu`` the first CUDA device.

    Without one that is the CPU, and a warning is logged: what the CPU has no kernel for is refused when it is met.
    """
    if not need_gpu:
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    _LOG.warning("need_gpu=True, and torch finds no CUDA device here: what has to be run is run on the CPU")
    return "cpu"
