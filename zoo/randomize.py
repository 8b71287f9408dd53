"""Seeded values where a fresh model has trivial ones, so that a wrong fold or a dead branch shows.

A new batch norm has mean 0 and variance 1, a new norm's scale is 1, a layer scale may be 1e-6 or 0 and so hides
the branch behind it. Each parameter that is one value throughout gets a value per element. Running statistics are
drawn around those of the data that reach them: drawn around 0 and 1, they would let activations grow by orders of
magnitude through a deep network, and beside those a wrong shift could not be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def randomize(module: nn.Module, run: Callable[[], object], seed: int = 0) -> None:
    """Overwrite trivial parameters and all running statistics in place. ``run`` runs the module once."""
    draw = torch.Generator().manual_seed(seed)
    normed = [part for part in module.modules() if "running_var" in dict(part.named_buffers(recurse=False))]
    with torch.no_grad():
        for tensor in (*module.parameters(), *(getattr(p, n, None) for p in normed for n in ("weight", "bias"))):
            if isinstance(tensor, Tensor) and _is_constant(tensor):
                tensor.copy_(_spread(tensor, draw))
        for part in normed:
            _set_statistics(part, torch.zeros(1), torch.ones(1), draw)
        hooks = [_calibrate_once(part, draw) for part in normed]
        try:
            run()
        finally:
            for hook in hooks:
                hook.remove()


def _calibrate_once(part: nn.Module, draw: torch.Generator) -> torch.utils.hooks.RemovableHandle:
    """Before the part's first call, set its statistics from what it is about to see."""
    seen: list[bool] = []

    def hook(part: nn.Module, arguments: tuple[Any, ...]) -> None:
        if seen or not arguments or arguments[0].dim() < 2:
            return
        seen.append(True)
        by_channel = arguments[0].transpose(0, 1).flatten(1)
        # A channel that is nearly constant, or has one element, is not blown up to variance 1.
        least = 0.1 * by_channel.square().mean() + 1e-6
        _set_statistics(part, by_channel.mean(1), by_channel.var(1, correction=0).clamp(min=float(least)), draw)

    return part.register_forward_pre_hook(hook)


def _set_statistics(part: nn.Module, mean: Tensor, variance: Tensor, draw: torch.Generator) -> None:
    """Statistics near the given ones: the mean off by up to 0.3 deviations, the variance by up to a half."""
    buffers = dict(part.named_buffers(recurse=False))
    middle, spread = buffers["running_mean"], buffers["running_var"]
    middle.copy_(mean + variance.sqrt() * _uniform(middle, -0.3, 0.3, draw))
    spread.copy_(variance * _uniform(spread, 0.5, 1.5, draw))


def _is_constant(tensor: Tensor) -> bool:
    """Whether a floating-point tensor of several elements holds one value throughout."""
    if not tensor.is_floating_point() or tensor.numel() < 2:
        return False
    return bool((tensor == tensor.flatten()[0]).all())


def _spread(tensor: Tensor, draw: torch.Generator) -> Tensor:
    """Values around the constant: shifts around 0, scales around theirs, tiny layer scales made large enough."""
    value = float(tensor.flatten()[0])
    if value == 0.0:
        return _uniform(tensor, -0.2, 0.2, draw)
    if abs(value) < 0.1:
        return _uniform(tensor, 0.1, 0.4, draw)
    return value * _uniform(tensor, 0.7, 1.3, draw)


def _uniform(like: Tensor, low: float, high: float, draw: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(like.shape, generator=draw)
