"""Language models of the transformers library: encoders, decoders, both, mixtures of experts, state spaces."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.entry import Family
from zoo.transformers_net import adder, tokens

FAMILY = Family("language")
_add = adder(FAMILY)

Built = tuple[nn.Module, dict[str, Tensor]]

#: two layers of four heads, a hundred words
SMALL: dict[str, Any] = {
    "vocab_size": 128, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
}  # fmt: skip
#: the same for a decoder whose heads share keys in pairs
DECODER: dict[str, Any] = {**SMALL, "num_key_value_heads": 2, "max_position_embeddings": 64, "use_cache": False}


def _ids(padded: bool = False, length: int = 16) -> dict[str, Tensor]:
    """Random words; ``padded`` adds the mask, the last three positions masked."""
    inputs = {"input_ids": tokens(length)}
    if padded:
        mask = torch.ones(1, length, dtype=torch.long)
        mask[:, -3:] = 0
        inputs["attention_mask"] = mask
    return inputs


@_add("bert")
def _(lib: Any) -> Built:
    return lib.BertModel(lib.BertConfig(**SMALL)), _ids()


@_add("bert_mask")
def _(lib: Any) -> Built:
    inputs = _ids(padded=True) | {"token_type_ids": torch.zeros(1, 16, dtype=torch.long)}
    return lib.BertModel(lib.BertConfig(**SMALL)), inputs


@_add("bert_eager_attn")
def _(lib: Any) -> Built:
    return lib.BertModel(lib.BertConfig(**SMALL, attn_implementation="eager")), _ids(padded=True)


@_add("distilbert")
def _(lib: Any) -> Built:
    config = lib.DistilBertConfig(vocab_size=128, dim=64, hidden_dim=128, n_layers=2, n_heads=4)
    return lib.DistilBertModel(config), _ids(padded=True)


@_add("roberta")
def _(lib: Any) -> Built:
    return lib.RobertaModel(lib.RobertaConfig(**SMALL)), _ids()


@_add("albert")
def _(lib: Any) -> Built:
    return lib.AlbertModel(lib.AlbertConfig(**SMALL, embedding_size=32)), _ids()


@_add("electra")
def _(lib: Any) -> Built:
    return lib.ElectraModel(lib.ElectraConfig(**SMALL, embedding_size=32)), _ids()


@_add("deberta_v2")
def _(lib: Any) -> Built:
    config = lib.DebertaV2Config(**SMALL, relative_attention=True, pos_att_type=["p2c", "c2p"])
    return lib.DebertaV2Model(config), _ids(padded=True)


@_add("gpt2")
def _(lib: Any) -> Built:
    config = lib.GPT2Config(vocab_size=128, n_embd=64, n_layer=2, n_head=4, use_cache=False)
    return lib.GPT2LMHeadModel(config), _ids()


@_add("opt")
def _(lib: Any) -> Built:
    config = lib.OPTConfig(
        vocab_size=128, hidden_size=64, ffn_dim=128, num_hidden_layers=2, num_attention_heads=4, use_cache=False,
        word_embed_proj_dim=64, max_position_embeddings=64,
    )  # fmt: skip
    return lib.OPTForCausalLM(config), _ids()


@_add("llama")
def _(lib: Any) -> Built:
    return lib.LlamaForCausalLM(lib.LlamaConfig(**DECODER)), _ids()


@_add("llama_mask")
def _(lib: Any) -> Built:
    return lib.LlamaForCausalLM(lib.LlamaConfig(**DECODER)), _ids(padded=True)


@_add("llama_bf16")
def _(lib: Any) -> Built:
    return lib.LlamaForCausalLM(lib.LlamaConfig(**DECODER)).to(torch.bfloat16), _ids()


@_add("gemma2")
def _(lib: Any) -> Built:
    return lib.Gemma2ForCausalLM(lib.Gemma2Config(**DECODER, head_dim=16)), _ids()


@_add("qwen2")
def _(lib: Any) -> Built:
    return lib.Qwen2ForCausalLM(lib.Qwen2Config(**DECODER)), _ids()


@_add("phi3")
def _(lib: Any) -> Built:
    return lib.Phi3ForCausalLM(lib.Phi3Config(**DECODER, pad_token_id=0)), _ids()


@_add("mixtral_moe")
def _(lib: Any) -> Built:
    return lib.MixtralForCausalLM(lib.MixtralConfig(**DECODER, num_local_experts=4)), _ids()


@_add("mamba")
def _(lib: Any) -> Built:
    config = lib.MambaConfig(vocab_size=128, hidden_size=64, state_size=4, num_hidden_layers=1, use_cache=False)
    return lib.MambaForCausalLM(config), _ids(length=8)


@_add("t5_enc")
def _(lib: Any) -> Built:
    config = lib.T5Config(vocab_size=128, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4)
    return lib.T5EncoderModel(config), _ids()


@_add("bart")
def _(lib: Any) -> Built:
    sizes = {f"{side}_{what}": n for side in ("encoder", "decoder")
             for what, n in (("layers", 1), ("attention_heads", 4), ("ffn_dim", 128))}  # fmt: skip
    config = lib.BartConfig(vocab_size=128, d_model=64, max_position_embeddings=64, use_cache=False, **sizes)
    return lib.BartModel(config), _ids() | {"decoder_input_ids": tokens(7)}


@_add("clip_text")
def _(lib: Any) -> Built:
    return lib.CLIPTextModel(lib.CLIPTextConfig(**SMALL, eos_token_id=99)), _ids()
