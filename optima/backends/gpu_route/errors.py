"""What a GPU may answer at load or at run time."""

from __future__ import annotations

from optima.tools import NotUsableHere


class DeviceLacks(NotUsableHere):
    """A GPU that cannot run a subgraph's kernels: a capability or a limit is missing, or it is an older architecture.

    Example: a model with int64 indices on a GPU without ``shaderInt64``. Fix: map those operators to X64, or compile
    for the architecture that the message names.
    """


class DeviceFailed(NotUsableHere):
    """A GPU that failed: out of memory, lost, or used after a fork.

    Example: a model whose tensors do not fit into the device's memory. Fix: fewer requests, or a smaller model.
    """
