"""A copy of a weight in numpy, so that a graph stays as it is when the module is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def array_of(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """A dense copy in numpy; bfloat16 as its uint16 bits."""
    import torch

    dense = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if dense.dtype == torch.bfloat16:
        dense = dense.view(torch.uint16)
    return np.array(dense.numpy(), order="C", copy=True).reshape(tuple(dense.shape))
