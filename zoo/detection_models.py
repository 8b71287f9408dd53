"""torchvision's detectors: whole, with the suppression that depends on data, and up to their raw scores and boxes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.entry import Family, Made
from zoo.torchvision_ops import declare_missing

FAMILY = Family("detection")

WHOLE = (
    "ssdlite320_mobilenet_v3_large",
    "retinanet_resnet50_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
)
ONE_STAGE = ("ssdlite320_mobilenet_v3_large", "ssd300_vgg16", "retinanet_resnet50_fpn", "fcos_resnet50_fpn")


class RawHead(nn.Module):
    """A one-stage detector up to the scores and offsets of its anchors."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        levels = self.backbone(image)
        answer: dict[str, Tensor] = self.head([levels] if isinstance(levels, Tensor) else list(levels.values()))
        return answer


class RawProposals(nn.Module):
    """A two-stage detector without the choice of proposals, which are given: objectness, offsets, classes, boxes."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone, self.proposals = detector.backbone, detector.rpn.head
        self.box_head, self.predictor = detector.roi_heads.box_head, detector.roi_heads.box_predictor

    def forward(self, image: Tensor, boxes: Tensor) -> tuple[list[Tensor], list[Tensor], tuple[Tensor, Tensor]]:
        from torchvision.ops import roi_align

        levels = self.backbone(image)
        objectness, offsets = self.proposals(list(levels.values()))
        finest = next(iter(levels.values()))
        scale = finest.shape[-1] / image.shape[-1]
        pooled = roi_align(finest, [boxes], output_size=7, spatial_scale=scale, sampling_ratio=2)
        return objectness, offsets, self.predictor(self.box_head(pooled))


def _detector(name: str) -> nn.Module:
    declare_missing()
    from torchvision.models import detection

    made: nn.Module = getattr(detection, name)(weights=None, weights_backbone=None)
    return made


def _whole(name: str) -> None:
    @FAMILY.add(f"tvdet.{name}")
    def _() -> Made:
        return _detector(name), ([torch.rand(3, 320, 320)],), {}


def _raw(name: str) -> None:
    @FAMILY.add(f"tvdet_raw.{name}")
    def _() -> Made:
        return RawHead(_detector(name)), (torch.randn(1, 3, 320, 320),), {}


for _name in WHOLE:
    _whole(_name)
for _name in ONE_STAGE:
    _raw(_name)


@FAMILY.add("tvdet_raw.fasterrcnn_mobilenet")
def _() -> Made:
    corner = torch.rand(5, 2) * 200
    boxes = torch.cat([corner, corner + 20 + torch.rand(5, 2) * 90], 1)
    detector = RawProposals(_detector("fasterrcnn_mobilenet_v3_large_320_fpn"))
    return detector, (torch.randn(1, 3, 320, 320), boxes), {}
