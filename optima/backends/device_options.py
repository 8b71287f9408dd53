"""``device_options`` of a kind as a checked model: unknown names and wrong values, all of them in one error."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from devices import DeviceEnum, Problem, UserError
from optima.backends.base import CompileOptions


class DeviceOptionError(UserError):
    """Options of a kind of device that its backend does not know, or values that it cannot take. All are listed.

    Example: ``device_options={"HEXAGON": {"activation_bits": 4}}``. Fix: ``{"activation_bits": 8}``, or 16.
    """


#: a week: more than a tool needs, and less than what a clock can wait for
MOST_SECONDS = 604_800
Seconds = Annotated[float, Field(gt=0.0, le=MOST_SECONDS)]


class DeviceOptions(BaseModel):
    """What a backend's options derive from: nothing is converted, nothing unknown is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=DeviceOptions)


def read_device_options(model: type[Model], kind: DeviceEnum, options: CompileOptions) -> Model:
    """The options of ``kind``, with defaults for what is not given. Raises DeviceOptionError."""
    given = dict(options.device_options.get(kind.value, {}))
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems = [
            Problem(f"{kind.value}.{'.'.join(map(str, e['loc']))}", _reason(e["type"], e["msg"], e["input"]))
            for e in error.errors()
        ]
    raise DeviceOptionError(
        f"{len(problems)} of the device_options cannot be used",
        problems=problems,
        hint=f"{kind.value} knows {', '.join(model.model_fields)}",
    )


def _reason(kind: str, message: str, value: object) -> str:
    return "there is no such option" if kind == "extra_forbidden" else f"is {value!r:.60}: {message}"
