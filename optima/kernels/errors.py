"""The refusals that the host's and the cross link share."""

from __future__ import annotations

from devices import UserError


class LinkError(UserError):
    """A kernel's object file could not be made into a shared library.

    Example: a machine without a C compiler. Fix: install one (``apt install gcc``), or name it in ``CC``.
    """
