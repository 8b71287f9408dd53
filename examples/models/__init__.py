"""Real architectures with seeded random weights. ``MODELS`` maps a name to a function that makes (module, inputs)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from examples.models.attention import DecoderBlock, EncoderBlock
from examples.models.face import FaceDetector
from examples.models.mobilenet import MobileNetV2
from examples.models.recurrent import CellLoop, LstmCellLoop, LstmTagger
from examples.models.resnet import ResNet18
from examples.models.small import SampleModel, TwoInTwoOut
from examples.models.unet import UNet

Made = tuple[nn.Module, tuple[torch.Tensor, ...]]


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give batch-norm statistics and norm scales non-trivial values, so that a wrong fold shows; eval mode."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(like: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=generator)

    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.copy_(uniform(part.running_mean, -0.3, 0.3))  # type: ignore[union-attr, arg-type]
                part.running_var.copy_(uniform(part.running_var, 0.5, 1.5))  # type: ignore[union-attr, arg-type]
            if isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
                part.weight.copy_(uniform(part.weight, 0.7, 1.3))
                part.bias.copy_(uniform(part.bias, -0.2, 0.2))
            if isinstance(part, nn.PReLU):
                part.weight.copy_(uniform(part.weight, 0.05, 0.5))
    return module.eval()


def _make(build: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> Callable[[], Made]:
    def make() -> Made:
        torch.manual_seed(0)
        module = randomize(build())
        return module, tuple(torch.rand(shape) for shape in shapes)

    return make


def _lstm() -> Made:
    torch.manual_seed(0)
    return randomize(LstmTagger()), (torch.randint(0, 100, (2, 9)),)


def _decoder(masked: bool) -> Callable[[], Made]:
    def make() -> Made:
        torch.manual_seed(0)
        return randomize(DecoderBlock(masked=masked)), (torch.rand(2, 7, 64), torch.rand(2, 11, 64))

    return make


#: name -> a function that makes (module in eval mode, sample inputs), the same at each call
MODELS: dict[str, Callable[[], Made]] = {
    "sample": _make(SampleModel, (1, 3, 32, 32), (1, 1, 32, 32)),
    "two_in_two_out": _make(TwoInTwoOut, (2, 8), (2, 8)),
    "resnet18": _make(ResNet18, (1, 3, 224, 224)),
    "mobilenet_v2": _make(MobileNetV2, (1, 3, 224, 224)),
    "face_detector": _make(FaceDetector, (1, 3, 128, 128)),
    "unet": _make(UNet, (1, 3, 64, 64)),
    "encoder": _make(EncoderBlock, (2, 16, 64)),
    "decoder": _decoder(masked=False),
    "decoder_masked": _decoder(masked=True),
    "lstm": _lstm,
    "cell_loop": _make(CellLoop, (2, 6, 12)),
    "lstm_cell_loop": _make(LstmCellLoop, (2, 6, 12)),
}
