"""A job as the bytes that a worker takes."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

from optima.backends.base import Job
from optima.jobs.failure import Failure

#: pinned: parent and worker are one installation, and a job's key never covers these bytes
_PROTOCOL = 5


def pack(job: Job, paths: Sequence[str]) -> bytes | Failure:
    """The request for ``job``; the payload is a pickle of its own, opened only after ``sys.path`` is set."""
    try:
        payload = pickle.dumps(job.payload, _PROTOCOL)
    except Exception as error:  # noqa: BLE001 - a payload's __reduce__ may raise anything
        return Failure.of_payload(job, error)
    return pickle.dumps((list(paths), job.function, payload), _PROTOCOL)
