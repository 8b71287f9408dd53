"""Models of the transformers library that see and hear."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.entry import Family, Made
from zoo.torchvision_ops import declare_missing
from zoo.transformers_net import adder, image, tokens

FAMILY = Family("perception")
_add = adder(FAMILY)

Built = tuple[nn.Module, dict[str, Tensor]]

#: two layers of four heads
SMALL: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
}  # fmt: skip


@_add("vit")
def _(lib: Any) -> Built:
    return lib.ViTForImageClassification(lib.ViTConfig(**SMALL, image_size=64)), {"pixel_values": image(64)}


@_add("dinov2")
def _(lib: Any) -> Built:
    sizes = {k: v for k, v in SMALL.items() if k != "intermediate_size"}
    return lib.Dinov2Model(lib.Dinov2Config(**sizes, image_size=56, patch_size=14)), {"pixel_values": image(56)}


@_add("clip_vision")
def _(lib: Any) -> Built:
    config = lib.CLIPVisionConfig(**SMALL, image_size=64, patch_size=16)
    return lib.CLIPVisionModel(config), {"pixel_values": image(64)}


@_add("segformer")
def _(lib: Any) -> Built:
    config = lib.SegformerConfig(num_labels=8, depths=[1, 1, 1, 1])
    return lib.SegformerForSemanticSegmentation(config), {"pixel_values": image(128)}


@_add("yolos")
def _(lib: Any) -> Built:
    config = lib.YolosConfig(**SMALL, image_size=[64, 64], num_detection_tokens=8)
    return lib.YolosForObjectDetection(config), {"pixel_values": image(64)}


@_add("mobilevit")
def _(lib: Any) -> Built:
    return lib.MobileViTModel(lib.MobileViTConfig()), {"pixel_values": image(128)}


@_add("swin2sr")
def _(lib: Any) -> Built:
    config = lib.Swin2SRConfig(
        image_size=32, embed_dim=24, depths=[2], num_heads=[2], window_size=4, upscale=2
    )
    return lib.Swin2SRForImageSuperResolution(config), {"pixel_values": image(32)}


@_add("dpt_depth")
def _(lib: Any) -> Built:
    config = lib.DPTConfig(
        **{**SMALL, "num_hidden_layers": 4}, image_size=64, patch_size=16, backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[16, 16, 32, 32], fusion_hidden_size=16,
    )  # fmt: skip
    model = lib.DPTForDepthEstimation(config)
    # Depth ends in a relu, behind which fresh weights leave nothing but zeros.
    nn.init.constant_(model.head.head[-2].bias, 0.5)
    return model, {"pixel_values": image(64)}


@_add("ast")
def _(lib: Any) -> Built:
    return lib.ASTModel(lib.ASTConfig(**SMALL)), {"input_values": torch.randn(1, 1024, 128)}


@_add("wav2vec2")
def _(lib: Any) -> Built:
    config = lib.Wav2Vec2Config(
        **SMALL, vocab_size=128, conv_dim=(32, 32, 32), conv_kernel=(10, 3, 2), conv_stride=(5, 2, 2),
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, apply_spec_augment=False,
    )  # fmt: skip
    return lib.Wav2Vec2Model(config), {"input_values": torch.randn(1, 4000)}


@_add("whisper_enc")
def _(lib: Any) -> Built:
    config = lib.WhisperConfig(
        vocab_size=128, d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=128,
        num_mel_bins=80, max_source_positions=100, decoder_layers=1, decoder_attention_heads=4, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    return lib.WhisperModel(config).encoder, {"input_features": torch.randn(1, 80, 200)}


@_add("vits_tts")
def _(lib: Any) -> Built:
    config = lib.VitsConfig(
        vocab_size=40, hidden_size=64, num_hidden_layers=2, ffn_dim=64, flow_size=64, spectrogram_bins=65,
        upsample_initial_channel=64,
    )  # fmt: skip
    return lib.VitsModel(config), {"input_ids": tokens(16, 39)}


@FAMILY.add("hf.encodec")
def _() -> Made:
    declare_missing()
    import transformers as lib

    config = lib.EncodecConfig(
        num_filters=8, hidden_size=32, codebook_size=64, codebook_dim=32, upsampling_ratios=[4, 2]
    )
    codec = lib.EncodecModel(config)
    return nn.Sequential(codec.encoder, codec.decoder), (torch.randn(1, 1, 1024),), {}
