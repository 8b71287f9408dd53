"""A model of the transformers library from a small configuration, as a module of tensors in and tensors out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zoo.entry import Family, Made
from zoo.torchvision_ops import declare_missing


class Positional(nn.Module):
    """Takes its tensors by position and returns those of the answer's fields that are tensors, in order."""

    def __init__(self, model: nn.Module, arguments: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.arguments = model, arguments

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        answer = self.model(**dict(zip(self.arguments, tensors, strict=True)), return_dict=True)
        return tuple(field for field in answer.values() if isinstance(field, Tensor))


#: from the library to (model, its inputs by argument name)
Build = Callable[[Any], tuple[nn.Module, dict[str, Tensor]]]


def adder(family: Family) -> Callable[[str], Callable[[Build], Build]]:
    """A decorator for functions that take the library and give a model with its inputs by name."""

    def add(name: str) -> Callable[[Build], Build]:
        def register(build: Build) -> Build:
            @family.add(f"hf.{name}")
            def _() -> Made:
                declare_missing()
                import transformers

                torch.manual_seed(0)
                model, inputs = build(transformers)
                return Positional(model, tuple(inputs)), tuple(inputs.values()), {}

            return build

        return register

    return add


def tokens(length: int = 16, words: int = 100) -> Tensor:
    """(1, length) random words; word 0, which pads, does not occur."""
    return torch.randint(1, words, (1, length))


def image(edge: int) -> Tensor:
    """(1, 3, edge, edge)."""
    return torch.randn(1, 3, edge, edge)
