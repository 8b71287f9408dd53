"""What OpenVINO's devices are compiled with."""

from __future__ import annotations

import os
from collections.abc import Sequence

from devices import DeviceEnum
from optima.tools import Tool, ToolMissing, program, python_package

INSTALL = "in Optima's clone: pip install '.[openvino]'"
#: the environment variable that names an old interpreter with openvino 2021.4.2, the last release with MYRIAD
MYRIAD_PYTHON = "OPTIMA_MYRIAD_PYTHON"


def base_tools() -> tuple[Tool, ...]:
    """What every device of this backend needs."""
    return (
        python_package("openvino", "compiling, and running on Intel devices", INSTALL),
        python_package("onnx", "writing subgraphs as ONNX", INSTALL),
    )


def myriad_python() -> Tool:
    """The interpreter that compiles for MYRIAD sticks. Raises ToolMissing where the variable names something else."""
    found = _myriad_python()
    given = os.environ.get(MYRIAD_PYTHON, "")
    if given and not found.found:
        raise ToolMissing(f"{MYRIAD_PYTHON} is {given!r}, which is no program", hint="correct it, or unset it")
    return found


def _myriad_python() -> Tool:
    return program(
        "myriad-python",
        "blobs that a MYRIAD stick runs; without it they are the CPU's, and labelled so",
        f"python3.8 -m venv old; old/bin/pip install openvino==2021.4.2 numpy; apt-get install libusb-1.0-0; "
        f"export {MYRIAD_PYTHON}=$PWD/old/bin/python",
        env=MYRIAD_PYTHON,
        optional=True,
    )


def tools(kind: DeviceEnum) -> Sequence[Tool]:
    """OpenVINO, ONNX, and for MYRIAD the old interpreter."""
    return (*base_tools(), *((_myriad_python(),) if kind is DeviceEnum.DEVICE_KIND_MYRIAD else ()))
