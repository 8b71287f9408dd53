"""``device_options`` of the four GPU kinds, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devices import DeviceRef, Problem, UserError
from optima.backends.base import CompileOptions

_FLAVOURS = ("shader",)


class SpirvOptionError(UserError):
    """``device_options`` of a GPU kind that the SPIR-V backend does not understand.

    Example: ``device_options={"MALI": {"flavor": "shader"}}``. Fix: the names and values in the message.
    """


@dataclass(frozen=True)
class SpirvOptions:
    """``flavour``: "shader", which Vulkan drivers take."""

    flavour: str = "shader"


def options_of(device: DeviceRef, options: CompileOptions) -> SpirvOptions:
    """The options of a device's kind. Raises SpirvOptionError with everything that is wrong with them."""
    given: Mapping[str, Any] = options.device_options.get(device.kind.value, {})
    problems = [Problem(str(key), "is no option: there is flavour") for key in given if key != "flavour"]
    flavour = given.get("flavour", "shader")
    if flavour == "kernel":
        problems.append(
            Problem("flavour", "'kernel' (OpenCL) is not implemented: 'shader' is what Vulkan drivers take")
        )
    elif flavour not in _FLAVOURS:
        problems.append(Problem("flavour", f"{flavour!r} is no flavour: there is {', '.join(_FLAVOURS)}"))
    if problems:
        raise SpirvOptionError(
            f"the device options of {device.kind.value} are wrong",
            problems=problems,
            hint=f'device_options={{"{device.kind.value}": {{"flavour": "shader"}}}}',
        )
    return SpirvOptions(flavour)
