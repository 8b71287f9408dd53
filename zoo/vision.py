"""Hand-written pictures-in networks that no library has in this form: U-Nets, a face detector, super-resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.entry import Family, Made

FAMILY = Family("vision")


def _twice(channels: int, made: int) -> nn.Sequential:
    """Two convolutions with batch norm; the first without a bias."""
    return nn.Sequential(
        nn.Conv2d(channels, made, 3, padding=1, bias=False), nn.BatchNorm2d(made), nn.ReLU(inplace=True),
        nn.Conv2d(made, made, 3, padding=1), nn.BatchNorm2d(made), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    """Three levels (Ronneberger et al., 2015), enlarged by transposed convolution or by interpolation."""

    def __init__(self, transposed: bool) -> None:
        super().__init__()
        self.high, self.middle, self.low = _twice(3, 16), _twice(16, 32), _twice(32, 64)
        smooth = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.up_low = self._enlarge(64, 32, transposed, smooth)
        self.up_middle = self._enlarge(32, 16, transposed, nn.Upsample(scale_factor=2, mode="nearest"))
        self.join_middle, self.join_high = _twice(64, 32), _twice(32, 16)
        self.mask = nn.Conv2d(16, 2, 1)

    @staticmethod
    def _enlarge(channels: int, made: int, transposed: bool, interpolate: nn.Module) -> nn.Module:
        if transposed:
            return nn.ConvTranspose2d(channels, made, 2, stride=2)
        return nn.Sequential(interpolate, nn.Conv2d(channels, made, 1))

    def forward(self, image: Tensor) -> Tensor:
        high = self.high(image)
        middle = self.middle(F.max_pool2d(high, 2))
        low = self.low(F.max_pool2d(middle, 2))
        middle = self.join_middle(torch.cat([self.up_low(low), middle], 1))
        return torch.sigmoid(self.mask(self.join_high(torch.cat([self.up_middle(middle), high], 1))))


class BlazeBlock(nn.Module):
    """A depthwise and a pointwise convolution beside a shortcut whose new channels are zeros."""

    def __init__(self, channels: int, made: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.grown = stride, made - channels
        self.depth = nn.Conv2d(channels, channels, 3, stride, padding=1 if stride == 1 else 0, groups=channels)
        self.point = nn.Conv2d(channels, made, 1)
        self.act = nn.PReLU(made)

    def forward(self, x: Tensor) -> Tensor:
        short, long = x, x
        if self.stride == 2:
            short, long = F.max_pool2d(x, 2), F.pad(x, (0, 2, 0, 2))
        short = F.pad(short, (0, 0, 0, 0, 0, self.grown))
        activated: Tensor = self.act(self.point(self.depth(long)) + short)
        return activated


class BlazeFace(nn.Module):
    """A face detector for phones (Bazarevsky et al., 2019): scores and boxes of one grid of anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.act = nn.Conv2d(3, 16, 3, stride=2), nn.PReLU(16)
        self.trunk = nn.Sequential(
            BlazeBlock(16, 16), BlazeBlock(16, 32, 2), BlazeBlock(32, 32), BlazeBlock(32, 64, 2), BlazeBlock(64, 64)
        )
        self.score, self.box = nn.Conv2d(64, 2, 1), nn.Conv2d(64, 32, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(self.act(self.stem(F.pad(image, (0, 1, 0, 1)))))
        score = self.score(features).permute(0, 2, 3, 1).reshape(image.shape[0], -1, 1)
        return torch.sigmoid(score), self.box(features).permute(0, 2, 3, 1).reshape(image.shape[0], -1, 16)


class Espcn(nn.Module):
    """Super-resolution by sub-pixel convolution (Shi et al., 2016), three times larger."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 64, 5, padding=2), nn.Conv2d(64, 32, 3, padding=1)
        self.pixels = nn.Conv2d(32, 9, 3, padding=1)

    def forward(self, luma: Tensor) -> Tensor:
        return F.pixel_shuffle(self.pixels(torch.tanh(self.narrow(torch.tanh(self.wide(luma))))), 3)


def _style_transfer() -> nn.Module:
    """Reflection and replication padding around instance norms, as feed-forward style transfer has them."""
    return nn.Sequential(
        nn.ReflectionPad2d(4), nn.Conv2d(3, 16, 9), nn.InstanceNorm2d(16, affine=True), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.InstanceNorm2d(32), nn.ReLU(),
        nn.Upsample(scale_factor=2), nn.ReplicationPad2d(1), nn.Conv2d(32, 3, 3), nn.Tanh(),
    )  # fmt: skip


class SpatialTransformer(nn.Module):
    """Looks, decides on an affine map, and samples its picture through it (Jaderberg et al., 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.Linear(90, 6),
        )  # fmt: skip
        self.read = nn.Sequential(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(1440, 10))

    def forward(self, digit: Tensor) -> Tensor:
        identity = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        grid = F.affine_grid(identity + 0.1 * self.look(digit).view(-1, 2, 3), list(digit.shape), align_corners=False)
        return torch.log_softmax(self.read(F.grid_sample(digit, grid, align_corners=False)), dim=1)


class YoloHead(nn.Module):
    """Three levels of a one-stage detector decoded to boxes: distributions over distances, anchors folded in."""

    def __init__(self, classes: int = 6, bins: int = 8) -> None:
        super().__init__()
        self.bins, self.classes = bins, classes
        self.steps = nn.ModuleList(_step(c, m) for c, m in ((3, 16), (16, 24), (24, 32)))
        self.heads = nn.ModuleList(nn.Conv2d(m, 4 * bins + classes, 1) for m in (16, 24, 32))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        boxes, scores, x = [], [], image
        for step, head in zip(self.steps, self.heads, strict=True):
            x = step(x)
            raw = head(x)
            stride = image.shape[-1] / x.shape[-1]
            distances, score = raw.flatten(2).split([4 * self.bins, self.classes], 1)
            weights = distances.view(raw.shape[0], 4, self.bins, -1).softmax(2)
            sides = (weights * torch.arange(self.bins, dtype=raw.dtype).view(1, 1, -1, 1)).sum(2)
            boxes.append(self._corners(sides, x.shape[-2], x.shape[-1]) * stride)
            scores.append(score.sigmoid())
        return torch.cat(boxes, 2), torch.cat(scores, 2)

    @staticmethod
    def _corners(sides: Tensor, rows: int, columns: int) -> Tensor:
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        centre = torch.stack([x.flatten(), y.flatten()])
        low, high = sides.chunk(2, 1)
        return torch.cat([centre - low, centre + high], 1)


def _step(channels: int, made: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, made, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(made), nn.SiLU())


@FAMILY.add("own.unet_convT")
def _() -> Made:
    return UNet(transposed=True), (torch.randn(1, 3, 64, 64),), {}


@FAMILY.add("own.unet_upsample")
def _() -> Made:
    return UNet(transposed=False), (torch.randn(1, 3, 64, 64),), {}


@FAMILY.add("own.blazeface")
def _() -> Made:
    return BlazeFace(), (torch.randn(1, 3, 128, 128),), {}


@FAMILY.add("own.espcn")
def _() -> Made:
    return Espcn(), (torch.randn(1, 1, 32, 32),), {}


@FAMILY.add("own.style_transfer")
def _() -> Made:
    return _style_transfer(), (torch.randn(1, 3, 64, 64),), {}


@FAMILY.add("own.spatial_transformer")
def _() -> Made:
    return SpatialTransformer(), (torch.randn(2, 1, 28, 28),), {}


@FAMILY.add("own.yolo_head")
def _() -> Made:
    return YoloHead(), (torch.randn(1, 3, 64, 64),), {}
