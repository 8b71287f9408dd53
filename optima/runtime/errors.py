"""The refusals of the runtime; those of reading a folder and of kernels come from their own rooms."""

from __future__ import annotations

from devices import UserError


class InputError(UserError, TypeError, ValueError):
    """Inputs that do not fit the model: a wrong name, number, shape or dtype. All of them are listed.

    Example: ``model(np.zeros((1, 3, 32, 32)))`` for a float32 model: numpy's zeros are float64.
    Fix: ``model(np.zeros((1, 3, 32, 32), np.float32))``; the message names the input and what it takes.
    """


class RequestError(UserError, RuntimeError):
    """A call that a request cannot take in its present state.

    Example: ``request.infer()`` while it is running. Fix: ``request.wait()`` first, or use a second request.
    """


class UnknownTensor(UserError, LookupError):
    """An index or a name that no input or output of the model has.

    Example: ``request.get_input_tensor("imgae")``. Fix: use a name or an index that the hint lists.
    """


class DeviceAbsent(UserError):
    """Devices that the model was compiled for and that this machine lacks. All of them are listed.

    Example: a model with a subgraph on ``ARM64:0``, loaded on an x86-64 machine.
    Fix: compile with another map, or ``load_model(path, fallback=True)``: a simulator, or the CPU, runs instead.
    """


class WrongCpu(UserError):
    """Kernels that need instructions which this CPU lacks. Nothing was opened.

    Example: a model compiled on a machine with AVX-512, loaded on one without.
    Fix: ``optimize(..., target_cpu="x86-64-v3")``, or compile on the machine that runs it.
    """


class SubgraphFailed(UserError, RuntimeError):
    """A subgraph that failed while it ran: its device vanished, or its backend's library raised something.

    Example: the stick of ``MYRIAD:0`` is pulled out during an inference.
    Fix: what the message says; ``load_model(path, fallback=True)`` runs without a device that is gone.
    """


class ExtensionError(UserError):
    """What was given to ``load_extension`` is not a backend's run half.

    Example: ``context.load_extension("numpy")``. Fix: give a module with ``NAME`` and ``load``.
    """
