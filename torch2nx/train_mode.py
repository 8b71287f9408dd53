"""Models left in train mode: refused if that changes what they compute, traced in eval mode otherwise."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from devices.errors import Problem
from torch2nx.definitions import drops_all
from torch2nx.errors import ConvertError

if TYPE_CHECKING:
    from torch import nn

    from torch2nx.trace import Trace


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Within the context every module is in eval mode; afterwards each has the flag that it had.

    Raises ConvertError naming every module that behaves differently in training.
    """
    problems = [
        Problem(path or type(module).__name__, reason)
        for path, module in model.named_modules()
        if module.training and (reason := _difference(module))
    ]
    if problems:
        raise ConvertError(
            f"{type(model).__name__} is in train mode, in which it behaves differently",
            problems=problems,
            hint="call model.eval() before convert()",
        )
    flags = [(module, module.training) for module in model.modules()]
    for module, _ in flags:
        module.training = False
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag


def _difference(module: nn.Module) -> str:
    """What the module does in training that it does not do at inference; "" if nothing."""
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase
    from torch.nn.modules.dropout import _DropoutNd

    name = type(module).__name__
    if isinstance(module, _DropoutNd):
        return f"{name} drops values at random (p={module.p})" if module.p else ""
    if isinstance(module, _NormBase):
        return f"{name} updates its running statistics" if module.running_mean is not None else ""
    if isinstance(module, nn.RNNBase):
        return f"{name} drops values between layers (dropout={module.dropout})" if module.dropout else ""
    if isinstance(module, nn.MultiheadAttention):
        return f"{name} drops attention weights (dropout={module.dropout})" if module.dropout else ""
    if isinstance(module, nn.RReLU):
        return f"{name} draws random slopes"
    return f"{name} reads self.training" if _reads_training(type(module)) else ""


def _reads_training(kind: type) -> bool:
    """Whether code outside torch that a class defines reads an attribute called ``training``."""
    for base in kind.__mro__:
        if base.__module__.split(".")[0] in ("torch", "builtins"):
            continue
        for member in vars(base).values():
            function = inspect.unwrap(member) if callable(member) else None
            code = getattr(function, "__code__", None)
            if code is not None and "training" in code.co_names:
                return True
    return False


def random_dropout(trace: Trace) -> ConvertError | None:
    """The refusal, with every line, of dropout that is on although all modules are in eval mode.

    It is off in ``trace`` from then on, so that nothing else is said about it.
    """
    problems = []
    for step in trace.steps:
        on = "dropout" in step.target and step.arguments.get("train") and step.arguments.get("p")
        if on and not drops_all(step):
            problems.append(step.problem(f"drops values at random (p={step.arguments.get('p')})"))
            step.arguments["train"] = False
    if not problems:
        return None
    return ConvertError(
        "the model drops values at random in eval mode too",
        problems=problems,
        hint="pass training=self.training to F.dropout, and call model.eval()",
    )
