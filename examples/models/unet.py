"""A UNet (Ronneberger et al., 2015) with one transposed and one resized upsampling step."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def double_conv(cin: int, cout: int) -> nn.Sequential:
    """Two 3x3 convolutions with batch-norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True),
        nn.Conv2d(cout, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    """[N,3,H,W] -> [N,classes,H,W], H and W multiples of 4."""

    def __init__(self, classes: int = 5, width: int = 16) -> None:
        super().__init__()
        self.down1 = double_conv(3, width)
        self.down2 = double_conv(width, width * 2)
        self.bottom = double_conv(width * 2, width * 4)
        self.up2 = nn.ConvTranspose2d(width * 4, width * 2, 2, 2)
        self.merge2 = double_conv(width * 4, width * 2)
        self.merge1 = double_conv(width * 3, width)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.merge2(torch.cat([self.up2(c), b], dim=1))
        up = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
        return self.head(self.merge1(torch.cat([up, a], dim=1)))
