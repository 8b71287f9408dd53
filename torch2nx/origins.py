"""Where the user wrote an op: the innermost Python frame outside torch, for each node of the trace.

Non-strict export keeps only frames named ``forward`` in a node's stack trace, so ops in methods and free
functions get their caller's line. ``exact_frames`` replaces that private filter for the duration of one call.
Should torch rename it, origins fall back to the ``forward`` frames.
"""

from __future__ import annotations

import linecache
import os
import re
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, Final

_FILTER: Final = "_filter_traceback_frames"
_LOCK: Final = threading.RLock()
_TRACING = threading.local()

_FRAME: Final = re.compile(r'File "([^"]+)", line (\d+), in (.+)')

Origin = dict[str, Any]


@contextmanager
def exact_frames() -> Iterator[None]:
    """Within the context, torch records the innermost user frame of this thread for each traced op.

    One thread at a time; what other threads trace meanwhile keeps torch's own filter.
    """
    from torch.fx.proxy import TracerBase

    with _LOCK:
        original = TracerBase.__dict__.get(_FILTER)
        if original is None:
            yield
            return

        def keep_user_frame(tracer: Any, summary: traceback.StackSummary) -> traceback.StackSummary:
            if not getattr(_TRACING, "active", False):
                kept: traceback.StackSummary = original(tracer, summary)
                return kept
            frame = _user_frame(sys._getframe(1))
            return traceback.StackSummary.from_list([frame] if frame else [])

        setattr(TracerBase, _FILTER, keep_user_frame)
        _TRACING.active = True
        try:
            yield
        finally:
            _TRACING.active = False
            setattr(TracerBase, _FILTER, original)


@cache
def _folder_of(module: str) -> str:
    found = sys.modules.get(module)
    return os.path.dirname(os.path.abspath(found.__file__)) + os.sep if found and found.__file__ else "\0"


@cache
def _is_foreign(path: str) -> bool:
    """Whether a file is no part of the user's program: torch, this package, the library, made-up code."""
    if path.startswith("<") and not path.startswith(("<stdin", "<ipython")):
        return True
    library = sysconfig.get_paths()["stdlib"] + os.sep
    if path.startswith(library) and "site-packages" not in path:
        return True
    return path.startswith((_folder_of("torch"), _folder_of(__name__)))


def _user_frame(frame: FrameType | None) -> traceback.FrameSummary | None:
    """The innermost user frame; for a model made of torch's modules only, torch's innermost module frame."""
    modules = os.path.join(_folder_of("torch"), "nn", "modules", "")
    tracer = _folder_of(__name__)
    module_frame: FrameType | None = None
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(tracer):
            # Beyond this lies the caller of convert(), which is not part of the model.
            break
        # `python -c` runs "<string>"; generated methods (dataclasses) bear that name too.
        is_command = path == "<string>" and frame.f_globals.get("__name__") == "__main__"
        if is_command or not _is_foreign(path):
            return _summary(frame)
        if module_frame is None and path.startswith(modules) and frame.f_code.co_name != "_call_impl":
            module_frame = frame
        frame = frame.f_back
    return _summary(module_frame) if module_frame else None


def _summary(frame: FrameType) -> traceback.FrameSummary:
    code = frame.f_code
    return traceback.FrameSummary(code.co_filename, frame.f_lineno, code.co_qualname, lookup_line=False)


def origin_of_traceback(trace: Any) -> Origin | None:
    """The origin of an exception raised while tracing: its innermost user frame, or None."""
    found: Origin | None = None
    while trace is not None:
        frame = trace.tb_frame
        if not _is_foreign(frame.f_code.co_filename):
            found = _origin(frame.f_code.co_filename, trace.tb_lineno, frame.f_code.co_qualname, "")
        trace = trace.tb_next
    return found


def origin_of_node(node: Any) -> Origin | None:
    """The origin that a traced ``torch.fx.Node`` carries, or None."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    # Code that torch generated while it traced its own graph again is no user code.
    frames = [f for f in frames if not f[0].startswith("<eval")]
    if not frames:
        return None
    path, line, function = frames[-1]
    return _origin(path, int(line), function, _module_path(node))


def _module_path(node: Any) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    # A module called twice is listed as `block@1`.
    return re.sub(r"@\d+", "", path.removeprefix("L__self__").lstrip("."))


def _origin(path: str, line: int, function: str, module: str) -> Origin:
    return {
        "file": relative_file(path),
        "line": line,
        "function": function.replace("<locals>.", ""),
        "module": module,
        "code": linecache.getline(path, line).strip(),
    }


def relative_file(path: str) -> str:
    """``path`` relative to the longest entry of sys.path that holds it, else its name; with ``/``."""
    if path.startswith("<"):
        return path
    return _relative(os.path.abspath(path), tuple(os.path.abspath(entry) for entry in sys.path))


@lru_cache(maxsize=1024)
def _relative(path: str, roots: tuple[str, ...]) -> str:
    file = Path(path)
    holding = [Path(root) for root in roots if root != path and file.is_relative_to(root)]
    if not holding:
        return file.name
    return file.relative_to(max(holding, key=lambda root: len(root.parts))).as_posix()


def where(origin: Origin) -> str:
    """An origin as the text that errors show: ``model.py:41 in Warp.forward (encoder.warp)``."""
    text = f"{origin['file']}:{origin['line']} in {origin['function']}" if origin["file"] else ""
    return f"{text} ({origin['module']})".strip() if origin["module"] else text


def origin_at(path: str, line: str, function: str) -> Origin | None:
    """The origin that a torch message names, or None if it is no user code."""
    return None if _is_foreign(path) else _origin(path, int(line), function, "")
