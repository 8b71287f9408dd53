"""OpenVINO's core: one per process, since each loads its plugins anew."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def core_of_process() -> Any:
    """The core. OpenVINO is imported here and nowhere before."""
    import openvino

    return openvino.Core()
