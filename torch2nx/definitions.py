"""Definitions, in torch's operators, of calls that torch 2.13 itself does not define or defines wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from torch import Tensor

    from torch2nx.trace import Step

#: ATen's embedding_renorm_ keeps the division away from zero by this (aten/src/ATen/native/Embedding.cpp)
_RENORM_EPSILON: Final = 1e-7


def own_definition(step: Step) -> Callable[..., Any] | None:
    """Our definition of the call, a function of its arguments; None where there is none."""
    if drops_all(step):
        return _dropped
    return _OWN.get(step.target)


def drops_all(step: Step) -> bool:
    """Whether the step is dropout of everything, which is not random."""
    return step.target in _DROPOUTS and bool(step.arguments["train"]) and step.arguments["p"] == 1


def _dropped(tensor: Tensor, p: float, train: bool) -> Tensor:
    # Torch multiplies too: NaN and infinity do not become 0.
    return tensor * 0


def _renormed(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """The rows that are looked up, if their norm is above ``max_norm``, scaled to it; the others as they are."""
    import torch

    norms = torch.linalg.vector_norm(weight, norm_type, dim=1, keepdim=True)
    looked_up = torch.zeros(weight.shape[0], dtype=torch.bool).index_fill(0, indices.reshape(-1), True)
    scaled = weight * (max_norm / (norms + _RENORM_EPSILON))
    return torch.where(looked_up.unsqueeze(1) & (norms > max_norm), scaled, weight)


_DROPOUTS: Final = frozenset(
    f"aten.{name}.default" for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
)

_OWN: Final[dict[str, Callable[..., Any]]] = {"aten.embedding_renorm.default": _renormed}
