"""timm's architectures that phones and servers run, one or two of each school, at the size each was made for."""

from __future__ import annotations

from typing import Any

import torch

from zoo.entry import Family, Made
from zoo.torchvision_ops import declare_missing

FAMILY = Family("timm")

NAMES = (
    # convolutions, large and small
    "cspresnet50",
    "dla34",
    "hrnet_w18_small",
    "vovnet39a",
    "hgnetv2_b0",
    "repvgg_a0",
    "mobileone_s0",
    "ghostnet_100",
    "tf_efficientnet_lite0",
    "mobilenet_edgetpu_v2_xs",
    "mobilenetv4_conv_small",
    "starnet_s1",
    "fbnetc_100",
    "res2net50_26w_4s",
    "nf_resnet50",
    "eca_nfnet_l0",
    "regnetz_b16",
    # attention, and both together
    "deit_tiny_patch16_224",
    "volo_d1_224",
    "visformer_tiny",
    "pvt_v2_b0",
    "tiny_vit_5m_224",
    "efficientformer_l1",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "edgenext_xx_small",
    "levit_128s",
    "coat_lite_tiny",
    "eva02_tiny_patch14_224",
    # neither
    "mixer_s16_224",
    "resmlp_12_224",
    "gmlp_s16_224",
    "poolformer_s12",
    "convmixer_768_32",
)


def _add(name: str) -> None:
    @FAMILY.add(f"timm.{name}")
    def _() -> Made:
        declare_missing()
        import timm

        model: Any = timm.create_model(name, pretrained=False)
        return model, (torch.randn(1, *model.default_cfg["input_size"]),), {}


for _name in NAMES:
    _add(_name)
