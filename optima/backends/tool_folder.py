"""A folder for an external tool that stays where the tool failed: the command in the error needs what lies in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optima.tools import ToolFailed


@contextmanager
def tool_folder(prefix: str, doing: str = "") -> Iterator[Path]:
    """A fresh folder, removed at the end unless ToolFailed is raised within; that error then says where it is.

    ``doing``: the subgraph and the step, put before the error's message.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    except ToolFailed as error:
        message = f"{doing}: {error.message}" if doing else error.message
        raise ToolFailed(message, problems=error.problems, hint=f"in {folder}, {error.hint}") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
