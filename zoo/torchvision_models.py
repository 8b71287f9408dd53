"""torchvision's classifiers, segmentation networks and optical flow, at the sizes that people run them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.entry import Family, Made
from zoo.torchvision_ops import declare_missing

FAMILY = Family("torchvision")

#: name -> (edge of the picture, what the constructor takes)
CLASSIFIERS: dict[str, tuple[int, dict[str, Any]]] = {
    "alexnet": (224, {}),
    "vgg11_bn": (224, {}),
    "resnet18": (224, {}),
    "resnet50": (224, {}),
    "resnext50_32x4d": (224, {}),
    "wide_resnet50_2": (224, {}),
    "mobilenet_v2": (224, {}),
    "mobilenet_v3_small": (224, {}),
    "mobilenet_v3_large": (224, {}),
    "shufflenet_v2_x1_0": (224, {}),
    "efficientnet_b0": (224, {}),
    "efficientnet_v2_s": (224, {}),
    "squeezenet1_1": (224, {}),
    "densenet121": (224, {}),
    "mnasnet0_5": (224, {}),
    "googlenet": (224, {"init_weights": False, "aux_logits": False}),
    "inception_v3": (299, {"init_weights": False, "aux_logits": False}),
    "regnet_y_400mf": (224, {}),
    "convnext_tiny": (224, {}),
    "vit_b_16": (224, {}),
    "swin_t": (224, {}),
    "swin_v2_t": (256, {}),
    "maxvit_t": (224, {}),
}
SEGMENTERS = (
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
)


class MaskOnly(nn.Module):
    """A segmentation network's main answer out of its dictionary."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        answers: dict[str, Tensor] = self.network(image)
        return answers["out"]


def _classifier(name: str, edge: int, options: dict[str, Any]) -> None:
    @FAMILY.add(f"tv.{name}")
    def _() -> Made:
        declare_missing()
        from torchvision import models

        return getattr(models, name)(weights=None, **options), (torch.randn(1, 3, edge, edge),), {}


def _segmenter(name: str) -> None:
    @FAMILY.add(f"tvseg.{name}")
    def _() -> Made:
        declare_missing()
        from torchvision.models import segmentation

        network = getattr(segmentation, name)(weights=None, weights_backbone=None)
        return MaskOnly(network), (torch.randn(1, 3, 224, 224),), {}


for _name, (_edge, _options) in CLASSIFIERS.items():
    _classifier(_name, _edge, _options)
for _name in SEGMENTERS:
    _segmenter(_name)


@FAMILY.add("tvflow.raft_small")
def _() -> Made:
    declare_missing()
    from torchvision.models.optical_flow import raft_small

    frames = (torch.randn(1, 3, 128, 128), torch.randn(1, 3, 128, 128))
    return raft_small(weights=None), frames, {"num_flow_updates": 2}


@FAMILY.add("tvvideo.r3d_18")
def _() -> Made:
    declare_missing()
    from torchvision.models.video import r3d_18

    return r3d_18(weights=None), (torch.randn(1, 3, 8, 64, 64),), {}
