"""What the bundles are made with; the vendors' compilers are the user's own."""

from __future__ import annotations

import os
from collections.abc import Sequence

from devices import DeviceEnum
from optima.backends.quantised import quantising_tools
from optima.backends.vendor_bundle.template import CommandTemplateError, identity, parse_template, variable_of
from optima.tools import Tool, require

_VENDORS = {
    DeviceEnum.DEVICE_KIND_CV22: "Ambarella's CVflow toolchain",
    DeviceEnum.DEVICE_KIND_ARA1: "Kinara's (NXP's) Ara SDK",
}


def tools(kind: DeviceEnum) -> Sequence[Tool]:
    """The quantiser, which is needed, and the vendor's compiler, without which a bundle is made."""
    return (*quantising_tools(), vendor_tool(kind))


def vendor_tool(kind: DeviceEnum) -> Tool:
    """The command template, as found; one that cannot be run counts as absent, and says why."""
    name, variable = _VENDORS.get(kind, "the vendor's compiler"), variable_of(kind)
    serves = "compiling the bundle for the device"
    install = f'set {variable} to its command, such as "compiler {{onnx}} --list {{input_list}} -o {{out}}"'
    try:
        words = command_of(kind)
    except CommandTemplateError as error:
        return Tool(name, serves, error.message, optional=True)
    return Tool(name, serves, install, identity(words) if words else "", optional=True)


def command_of(kind: DeviceEnum) -> tuple[str, ...]:
    """The user's command for a kind, as words; () where none is set. Raises CommandTemplateError."""
    text = os.environ.get(variable_of(kind), "")
    return parse_template(kind, text) if text.strip() else ()


def choose(kind: DeviceEnum, strict: bool) -> tuple[str, ...]:
    """As ``command_of``. Raises ToolMissing in strict mode where none is set."""
    words = command_of(kind)
    if strict and not words:
        tool = vendor_tool(kind)
        require(Tool(tool.name, tool.serves, tool.install))
    return words
