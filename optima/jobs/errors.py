"""The refusals of compiling."""

from __future__ import annotations

from devices import InternalError, UserError


class KernelCompileError(UserError):
    """Kernels that could not be compiled. All of them are listed; those that could be are in the cache.

    Example: ``optimize(...)`` on a machine whose memory runs out while a kernel is compiled.
    Fix: what the hint says; map the ops listed to another device if it says nothing better.
    """


class WorkerStartError(InternalError):
    """A compile process that ends before it takes its first job: Python or Optima cannot be imported there.

    Example: ``optimize(...)`` in an embedded interpreter in which ``sys.executable`` is not Python.
    Fix: run it under the ``python`` of the environment in which Optima is installed.
    """


class CacheSizeError(UserError):
    """``OPTIMA_CACHE_SIZE`` is not a size.

    Example: ``OPTIMA_CACHE_SIZE=lots``. Fix: a number of bytes, or one with K, M, G or T: ``4G``.
    """
