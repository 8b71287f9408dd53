"""A face detector like MediaPipe's BlazeFace (Bazarevsky et al., 2019): depthwise blocks, PReLU, two heads."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class BlazeBlock(nn.Module):
    """Depthwise 5x5 and pointwise convolution with a shortcut that is pooled and zero-padded in channels."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.extra = cout - cin
        self.depthwise = nn.Conv2d(cin, cin, 5, stride, 0 if stride == 2 else 2, groups=cin)
        self.pointwise = nn.Conv2d(cin, cout, 1)
        self.act = nn.PReLU(cout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x
        if self.stride == 2:
            shortcut = F.max_pool2d(x, 2, 2)
            x = F.pad(x, (1, 2, 1, 2))
        if self.extra:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.extra))
        return self.act(self.pointwise(self.depthwise(x)) + shortcut)


class FaceDetector(nn.Module):
    """[N,3,128,128] -> scores [N,896,1] and boxes [N,896,16]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 5, 2)
        self.stem_act = nn.PReLU(24)
        self.fine = nn.Sequential(
            BlazeBlock(24, 24, 1), BlazeBlock(24, 28, 1), BlazeBlock(28, 32, 2),
            BlazeBlock(32, 36, 1), BlazeBlock(36, 42, 1), BlazeBlock(42, 48, 2), BlazeBlock(48, 88, 1),
        )  # fmt: skip
        self.coarse = nn.Sequential(BlazeBlock(88, 96, 2), BlazeBlock(96, 96, 1))
        self.scores = nn.ModuleList([nn.Conv2d(88, 2, 1), nn.Conv2d(96, 6, 1)])
        self.boxes = nn.ModuleList([nn.Conv2d(88, 32, 1), nn.Conv2d(96, 96, 1)])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.stem_act(self.stem(F.pad(x, (1, 2, 1, 2))))
        fine = self.fine(x)
        maps = [fine, self.coarse(fine)]
        scores = [_rows(head(m), 1) for head, m in zip(self.scores, maps, strict=True)]
        boxes = [_rows(head(m), 16) for head, m in zip(self.boxes, maps, strict=True)]
        return torch.cat(scores, dim=1), torch.cat(boxes, dim=1)


def _rows(head: torch.Tensor, width: int) -> torch.Tensor:
    """[N,C,H,W] -> [N, H*W*C/width, width]: one row per anchor."""
    return head.permute(0, 2, 3, 1).reshape(head.shape[0], -1, width)
