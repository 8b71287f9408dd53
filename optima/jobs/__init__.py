"""Compile jobs: run in fresh processes, many at once, each distinct one once, remembered by content."""

from optima.jobs.cache import Cache
from optima.jobs.errors import KernelCompileError
from optima.jobs.pool import JobResults, run_jobs, stop_workers

__all__ = ["Cache", "JobResults", "KernelCompileError", "run_jobs", "stop_workers"]
