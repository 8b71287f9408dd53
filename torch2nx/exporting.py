"""The call to torch.export, and its failures in the user's terms."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from types import TracebackType
from typing import TYPE_CHECKING, Any

from devices.errors import Problem
from torch2nx import data_sizes, origins, state
from torch2nx.bounds import known_nms
from torch2nx.errors import ConvertError
from torch2nx.memory import is_eval_alias
from torch2nx.samples import Call
from torch2nx.trace import bound_arguments
from torch2nx.watch import watched

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

_LOG = logging.getLogger(__name__)


def export(model: torch.nn.Module, call: Call) -> tuple[ExportedProgram, ConvertError | None]:
    """Trace ``model`` with torch.export; beside the program the refusal of a model that remembers earlier calls.

    Raises ConvertError with torch's reason and the user's line.
    """
    import torch

    # On failure torch prints the graph so far to stderr.
    printed = io.StringIO()
    frames = origins.exact_frames()
    with (
        warnings.catch_warnings(), _quiet(), frames, known_nms(), _masks_as_given(), torch.no_grad(),
        redirect_stderr(printed),
    ):  # fmt: skip
        warnings.simplefilter("ignore")
        try:
            with watched(model) as changes:
                program = torch.export.export(model, call.args, call.kwargs, strict=False)
            memory = state.memory_of(model, call, changes, _read_by(program))
            if memory is None and changes.made_buffer:
                # Torch takes a buffer that the forward registers for a change of state.
                made = state.called_copy(model, call)
                program = torch.export.export(made, call.args, call.kwargs, strict=False)
        # Whatever the user's forward or torch's tracer raises is the answer here.
        except Exception as error:  # noqa: BLE001
            _LOG.debug("torch.export failed: %s", printed.getvalue(), exc_info=error)
            raise _refusal(model, error) from None
    return program, memory


def _read_by(program: ExportedProgram) -> list[torch.Tensor]:
    """What the trace reads besides inputs and parameters."""
    import torch

    constants = (c for c in program.constants.values() if isinstance(c, torch.Tensor))
    return [*constants, *program.buffers()]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch logs of a failure, whose reason is in the error: it names torch's own lines."""
    loggers = [logging.getLogger(f"torch.{n}") for n in ("_subclasses.fake_tensor", "fx.experimental.symbolic_shapes")]
    for logger in loggers:
        logger.addFilter(_nothing)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


@contextmanager
def _masks_as_given() -> Iterator[None]:
    """``nn.Transformer`` looks at a mask's values to see whether it is the causal one, which no trace can follow.

    The answer is only a hint for speed (docstring of ``_detect_is_causal_mask``): without it the mask is applied.
    """
    from torch.nn.modules import transformer

    registered = transformer._detect_is_causal_mask

    def hinted(mask: Any, is_causal: bool | None = None, size: int | None = None) -> bool:
        return is_causal is True

    transformer._detect_is_causal_mask = hinted
    try:
        yield
    finally:
        transformer._detect_is_causal_mask = registered


def functional(program: ExportedProgram) -> ExportedProgram:
    """The program with torch's own functionalisation, for models that write through views.

    Raises ConvertError when torch cannot do it.
    """
    _drop_eval_aliases(program)
    with warnings.catch_warnings(), known_nms():
        warnings.simplefilter("ignore")
        try:
            decomposed: ExportedProgram = program.run_decompositions({})
            return decomposed
        # Torch's functionalisation raises many types for what it cannot express.
        except Exception as error:  # noqa: BLE001
            _LOG.debug("functionalisation failed", exc_info=error)
            raise ConvertError(
                f"torch cannot make the model's writes through views functional: {_reason(error)}",
                hint="build the result from new tensors (torch.cat, torch.where), not by assigning to slices",
            ) from None


def _drop_eval_aliases(program: ExportedProgram) -> None:
    """Remove dropout in eval mode.

    Eager returns its argument itself, so a later write is seen through both names; torch's functionalisation
    would make a copy of it.
    """
    import torch

    for module in program.graph_module.modules():
        if not isinstance(module, torch.fx.GraphModule):
            continue
        for node in list(module.graph.nodes):
            if node.op != "call_function" or not hasattr(node.target, "_schema"):
                continue
            if not is_eval_alias(str(node.target), bound_arguments(node.target, node.args, node.kwargs)):
                continue
            operand = node.args[0]
            node.replace_all_uses_with(operand)
            program.graph_signature.replace_all_uses(node.name, operand.name)
            module.graph.erase_node(node)
        module.recompile()


def _refusal(model: Any, error: Exception) -> ConvertError:
    origin = origins.origin_of_traceback(error.__traceback__) or _origin_in(str(error))
    code = origin["code"] if origin else ""
    where = origins.where(origin) if origin else ""
    name = type(model).__name__
    if _holds_packed(error.__traceback__):
        return ConvertError(
            f"{name} cannot be traced",
            problems=[Problem(name, "a packed sequence's shape depends on its lengths", where, code)],
            hint="pass the padded batch to the recurrent layer, and mask what lies past each sequence's end",
        )
    # A line that decides on what it computes itself is named once.
    causes = [p for p in data_sizes.problems_of(error) if p.where.partition(" ")[0] != where.partition(" ")[0]]
    return ConvertError(
        f"{name} cannot be traced",
        problems=[Problem(name, _reason(error), where, code), *causes],
        hint=_hint(error),
    )


def _hint(error: Exception) -> str:
    import torch

    if "cuda" in str(error).lower() and not torch.cuda.is_available():
        return (
            "this line needs a CUDA device, and torch finds none here: convert on a machine that has one, or take the "
            "device from a tensor (device=x.device)"
        )
    if _depends_on_data(error):
        return (
            "a traced model does the same for all inputs: instead of `if`, loops and shapes that depend on "
            "values use torch.where, masks and fixed sizes"
        )
    return (
        "if model(*fake_torch_data) fails in PyTorch too, mend that first; if it runs there, torch.export cannot "
        "follow this line: write it with tensors' own operations"
    )


def _holds_packed(traceback: TracebackType | None) -> bool:
    """Whether the trace failed where a function of torch's held a PackedSequence."""
    from torch.nn.utils.rnn import PackedSequence

    while traceback is not None:
        frame = traceback.tb_frame
        of_torch = frame.f_globals.get("__name__", "") in ("torch.nn.utils.rnn", "torch.nn.modules.rnn")
        if of_torch and any(isinstance(value, PackedSequence) for value in frame.f_locals.values()):
            return True
        traceback = traceback.tb_next
    return False


def _depends_on_data(error: Exception) -> bool:
    text = f"{type(error).__name__}: {error}"
    return any(sign in text for sign in ("ata-dependent", "DataDependent", "data dependent", "unbacked", "u0"))


def _reason(error: Exception) -> str:
    """The first paragraph of torch's message, on one line."""
    text = re.split(r"\n\s*\n|\nFrom user code|\nSuggested fixes|\nThe following call", str(error).strip())[0]
    return f"{type(error).__name__}: {' '.join(text.split())}"[:400]


def _origin_in(text: str) -> origins.Origin | None:
    """The line that torch's message itself names, where the traceback holds no user frame."""
    found = re.findall(r'File "([^"]+)", line (\d+), in (\S+)', text)
    return origins.origin_at(*found[-1]) if found else None
