"""One sample through the whole pipeline: exported, converted, compiled for X64, run, compared with eager."""

from __future__ import annotations

import copy
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

import optima.runtime as rt
from conformance.samples import Sample
from devices import DeviceEnum, UserError
from optima.manager import Manager
from optima.ops.reference import to_numpy, to_torch
from optima.verification import AS_ACCURATE, distances, without_fast_path
from torch2nx.converter import Torch2GraphConverter

#: a sample was equal; refused with a typed error; wrong; crashed; PyTorch itself does not run it; or it draws random
#: numbers and was refused, so that there is nothing to compare
EQUAL, REFUSED, WRONG, CRASHED, NOT_RUN, RANDOM = "equal", "refused", "wrong", "crashed", "not run", "random"


@dataclass(frozen=True)
class Outcome:
    """What became of one sample. ``reason`` is "" for an equal one."""

    status: str
    reason: str = ""


def check(sample: Sample) -> Outcome:
    """Compile and compare one sample. Never raises for what the sample does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = _eager(sample)
        except Exception as error:  # noqa: BLE001 - PyTorch refuses some of its own samples in eval mode
            return Outcome(NOT_RUN, _line(error))
        try:
            actual = _compiled(sample)
        except UserError as error:
            return Outcome(RANDOM if _is_random(sample) else REFUSED, _reason(error))
        except Exception as error:  # noqa: BLE001 - any other exception is a fault of ours
            return Outcome(CRASHED, _line(error))
        return _compared(sample, expected, actual)


def _eager(sample: Sample, dtype: torch.dtype | None = None) -> list[torch.Tensor]:
    args = [a.clone() for a in sample.args]
    module = sample.module
    if dtype is not None:
        module = copy.deepcopy(module).to(dtype)
        args = [a.to(dtype) if a.is_floating_point() else a for a in args]
    with torch.no_grad(), without_fast_path():
        result = module(*args)
    return [leaf.clone() for leaf in _pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]


class _Draws(TorchDispatchMode):
    """Whether an operator that draws random numbers was called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen = self.seen or torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def _is_random(sample: Sample) -> bool:
    """Whether eager draws random numbers. Most samples set the seed, so that their results agree from run to run."""
    with _Draws() as draws:
        _eager(sample)
    return bool(draws.seen)


def _compiled(sample: Sample) -> list[torch.Tensor]:
    converter = Torch2GraphConverter()
    graph = converter.convert(model=sample.module, fake_torch_data=[a.clone() for a in sample.args])
    with tempfile.TemporaryDirectory() as folder:
        stored, table = Path(folder, "sample.gpickle"), Path(folder, "map.json")
        converter.export_to_gpickle(stored, graph)
        converter.get_onedevice_allocator(table, "X64", stored)
        made = Manager().optimize(
            "sample", [DeviceEnum.DEVICE_KIND_X64], stored, folder, table, workers=1, progress=False
        )
        model = rt.Context(threads=1).load_model(made.path)
        request = model.create_request()
        # Other values first: what memory holds by chance may be the right answer to the same question.
        for args in (map(_other, sample.args), sample.args):
            request.set_inputs([to_numpy(a) for a in args])
            request.infer()
            request.wait()
        dtypes = [output.dtype for output in model.meta.outputs]
        return [to_torch(a, d) for a, d in zip(request.get_outputs(), dtypes, strict=True)]


def _other(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the same type without any of the other's values."""
    return ~tensor if tensor.dtype == torch.bool else torch.where(tensor == 1, 2, 1).to(tensor.dtype)


def _compared(sample: Sample, expected: list[torch.Tensor], actual: list[torch.Tensor]) -> Outcome:
    if len(expected) != len(actual):
        return Outcome(WRONG, f"{len(actual)} outputs for {len(expected)}")
    for index, (want, got) in enumerate(zip(expected, actual, strict=True)):
        rtol, atol = sample.tolerances if sample.tolerances and want.is_floating_point() else (None, None)
        try:
            torch.testing.assert_close(got, want, equal_nan=True, check_stride=False, rtol=rtol, atol=atol)
        except AssertionError as error:
            if not _as_accurate(sample, index, want, got):
                return Outcome(WRONG, f"output {index}: {_line(error)}")
    return Outcome(EQUAL)


def _as_accurate(sample: Sample, index: int, want: torch.Tensor, got: torch.Tensor) -> bool:
    """Whether the answer is as near the float64 result as eager's own is, where the problem is ill conditioned."""
    try:
        exact = _eager(sample, torch.float64)[index]
    except Exception:  # noqa: BLE001 - not every operator has a float64 form
        return False
    found = distances(exact, want, got)
    return found is not None and found[1] <= AS_ACCURATE * found[0]


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def _reason(error: UserError) -> str:
    """The problems of a typed error, without the places of this run."""
    problems = getattr(error, "problems", ())
    reasons = dict.fromkeys(f"{p.subject}: {p.reason}" for p in problems) if problems else {str(error.args[0]): 0}
    text = "; ".join(" ".join(r.split()) for r in reasons)
    return f"{type(error).__name__}: {text}"[:300]
