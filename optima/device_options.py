"""The options of one kind of device, read into its backend's own model."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from devices import DeviceRef, Problem
from optima.arguments import OptionError
from optima.backends.base import CompileOptions

Options = TypeVar("Options", bound=BaseModel)


def read_options(model: type[Options], device: DeviceRef, options: CompileOptions) -> Options:
    """``options.device_options`` of the device's kind as ``model``. Raises OptionError with every fault."""
    given = options.device_options.get(device.kind.value, {})
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        rows = [
            Problem(".".join(map(str, fault["loc"])), fault["msg"])
            for fault in error.errors(include_url=False, include_input=False)
        ]
        known = ", ".join(model.model_fields)
        raise OptionError(
            f"device_options of {device.kind.value} cannot be used",
            problems=rows,
            hint=f"its options are {known}" if known else "it has no options",
        ) from None
