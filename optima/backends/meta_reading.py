"""A subgraph's meta as its backend's pydantic model."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from devices import Problem, UserError
from optima.backends.base import SubgraphView

#: what to do about a folder that is not as it was written
AGAIN = "compile the model again, or copy its folder again, whole"
#: the most problems that an error lists
_SHOWN = 20
Meta = TypeVar("Meta", bound=BaseModel)


def read_meta(model: type[Meta], view: SubgraphView, error_class: type[UserError]) -> Meta:
    """``<subgraph>.meta``. Raises ``error_class`` naming all that breaks its format."""
    try:
        return model.model_validate(view.meta)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)[:_SHOWN]
        problems = [Problem(".".join(map(str, f["loc"])), f["msg"]) for f in faults]
        raise error_class(f"{view.name}.meta breaks its format", problems=problems, hint=AGAIN) from None
