"""The process's worker pool, as far as Python may steer it."""

from __future__ import annotations

from devices import UserError
from optima.native.library import last_error, library


class Pool:
    """The one pool that all requests and CPU instances of this process share. Every ``Pool()`` is that pool.

    Its workers start with the first parallel loop. A caller takes part in its own loops, so at most
    ``threads`` threads compute, of which ``threads - 1`` belong to the pool.
    """

    @property
    def threads(self) -> int:
        """Cores that parallel loops may use; at first as many as the process may."""
        count: int = library().optima_threads()
        return count

    @threads.setter
    def threads(self, count: int) -> None:
        """Raises UserError for a count outside 1 .. 1024."""
        if library().optima_set_threads(count) != 0:
            raise UserError(last_error(), hint="0 is no number of threads; use 1 to run without workers")

    @property
    def workers(self) -> int:
        """Worker threads alive now."""
        count: int = library().optima_workers()
        return count

    def set_spin_us(self, microseconds: int) -> None:
        """How long an idle worker looks for work before it sleeps, 0 to 1,000,000. Raises UserError."""
        if library().optima_set_spin_us(microseconds) != 0:
            raise UserError(last_error(), hint="use 0 where several processes share the cores")
