"""What makes a ``.dlc``: the SDK, else onnxruntime-qnn; and what quantises.

onnxruntime-qnn's libraries come under Qualcomm's AI Stack License: it is an optional extra, and nothing of it is in
Optima.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from devices import DeviceEnum
from optima.backends.quantised import quantising_tools
from optima.backends.snpe.options import SnpeOptions
from optima.backends.snpe.sdk import ROOTS, Sdk, find_sdk
from optima.tools import Tool, ToolMissing, python_package, require

_SDK = "set SNPE_ROOT or QAIRT_SDK_ROOT to the folder of Qualcomm's SDK (softwarecenter.qualcomm.com)"
_QNN = (
    "in Optima's clone: pip install '.[hexagon]' (Linux x86-64 with glibc 2.35 or newer; Qualcomm's AI Stack License)"
)


def tools(kind: DeviceEnum) -> Sequence[Tool]:
    """The quantiser, which is needed, and the two makers of a ``.dlc``, of which one is enough."""
    return (*quantising_tools(), sdk_tool(), qnn_tool())


def qnn_tool() -> Tool:
    """onnxruntime-qnn, as found."""
    return python_package(
        "onnxruntime-qnn", "writing a .dlc, and emulating the device, without the SDK", _QNN, optional=True
    )


def sdk_tool() -> Tool:
    """The SDK, as found; one that is named and incomplete counts as absent, and says so."""
    serves = "writing a .dlc with SNPE's own tools"
    try:
        sdk = find_sdk(os.environ)
    except ToolMissing as error:
        return Tool("SNPE or QAIRT SDK", serves, error.message, optional=True)
    if sdk is None:
        return Tool("SNPE or QAIRT SDK", serves, _SDK, optional=True)
    return Tool("SNPE or QAIRT SDK", serves, _SDK, sdk.identity, sdk.root, optional=True)


def choose(options: SnpeOptions, strict: bool) -> Sdk | Tool | None:
    """What will write the ``.dlc``; None for nothing. Raises ToolMissing for what the options or ``strict`` want
    and this machine lacks."""
    qnn = qnn_tool()
    if options.toolchain == "none":
        if strict:
            raise ToolMissing("toolchain 'none' makes no .dlc, and strict_targets asks for one", hint='use "auto"')
        return None
    if options.toolchain in ("auto", "sdk"):
        sdk = find_sdk(os.environ)
        if sdk is not None:
            return sdk
        if options.toolchain == "sdk":
            raise ToolMissing(f"toolchain 'sdk', and none of {', '.join(ROOTS)} is set", hint=_SDK)
    if qnn.found:
        return qnn
    if strict or options.toolchain != "auto":
        require(Tool("a maker of .dlc files", "HEXAGON", f"{_QNN}; or {_SDK}"))
    return None
