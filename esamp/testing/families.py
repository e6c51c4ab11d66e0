"""Tiny configurations of the model families that people sample from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import (
    BloomConfig,
    CLIPVisionConfig,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    GptOssConfig,
    GraniteConfig,
    LlamaConfig,
    LlavaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    Olmo2Config,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    PreTrainedConfig,
    Qwen2_5_VLConfig,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

__all__ = ["FAMILIES", "READ_IMAGES", "tiny_config"]

_CONTEXT = 256
_WIDTH, _LAYERS, _HEADS = 64, 3, 4

# The default range of transformers, 0.02, makes logits so flat at this width that no filter has anything to do.
_INITIALIZER_RANGE = 0.2

_SIZES: dict[str, Any] = {
    "hidden_size": _WIDTH,
    "intermediate_size": 2 * _WIDTH,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "max_position_embeddings": _CONTEXT,
}
_LLAMA_LIKE = _SIZES | {"num_key_value_heads": _HEADS // 2}
_HEAD_DIM = {"head_dim": _WIDTH // _HEADS}
_WINDOW = {"sliding_window": 16}
_EXPERTS = {"intermediate_size": _WIDTH // 2, "num_local_experts": 4, "num_experts_per_tok": 2}
_QWEN_EXPERTS = {"moe_intermediate_size": _WIDTH // 2, "num_experts": 4, "num_experts_per_tok": 2}
_YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 32.0, "original_max_position_embeddings": _CONTEXT // 32}
_OPT: dict[str, Any] = {
    "hidden_size": _WIDTH,
    "ffn_dim": 2 * _WIDTH,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "max_position_embeddings": _CONTEXT,
    "word_embed_proj_dim": _WIDTH,
    "init_std": _INITIALIZER_RANGE,
}
_GPT2: dict[str, Any] = {"n_embd": _WIDTH, "n_layer": _LAYERS, "n_head": _HEADS, "n_positions": _CONTEXT}
_BLOOM: dict[str, Any] = {"hidden_size": _WIDTH, "n_layer": _LAYERS, "n_head": _HEADS}
_MAMBA: dict[str, Any] = {"hidden_size": _WIDTH, "num_hidden_layers": _LAYERS, "state_size": 8}


def _llava(vocab_size: int, **values: Any) -> PreTrainedConfig:
    # As many layers as the decoder has, so that the one could be taken for the other.
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        projection_dim=16,
        num_hidden_layers=_LAYERS,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
    )
    text = LlamaConfig(vocab_size=vocab_size, **values)
    return LlavaConfig(vision_config=vision, text_config=text, image_token_index=vocab_size - 1)


def _qwen2_5_vl(vocab_size: int, **values: Any) -> PreTrainedConfig:
    vision = {"depth": _LAYERS, "hidden_size": 16, "num_heads": 2, "intermediate_size": 16, "patch_size": 4}
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    images: dict[str, Any] = {name: vocab_size - 1 - place for place, name in enumerate(names)}
    return Qwen2_5_VLConfig(
        vision_config=vision | {"out_hidden_size": _WIDTH},
        text_config={"vocab_size": vocab_size, "rope_parameters": rope} | values,
        **images,
    )


_CONFIGS: dict[str, tuple[Callable[..., PreTrainedConfig], dict[str, Any]]] = {
    "llama": (LlamaConfig, _LLAMA_LIKE),
    "bloom": (BloomConfig, _BLOOM),
    "cohere": (CohereConfig, _LLAMA_LIKE | {"logit_scale": 0.5}),
    "gemma2": (Gemma2Config, _LLAMA_LIKE | _HEAD_DIM | {"final_logit_softcapping": 5.0}),
    "gemma3_text": (Gemma3TextConfig, _LLAMA_LIKE | _HEAD_DIM | _WINDOW | {"final_logit_softcapping": 5.0}),
    "gpt2": (GPT2Config, _GPT2),
    "gpt_neox": (GPTNeoXConfig, _SIZES),
    "gpt_oss": (GptOssConfig, _LLAMA_LIKE | _HEAD_DIM | _WINDOW | _EXPERTS | {"rope_parameters": _YARN}),
    "granite": (GraniteConfig, _LLAMA_LIKE | {"logits_scaling": 2.0}),
    "llava": (_llava, _LLAMA_LIKE),
    "mamba": (MambaConfig, _MAMBA),
    "mistral": (MistralConfig, _LLAMA_LIKE | _WINDOW),
    "mixtral": (MixtralConfig, _LLAMA_LIKE | _EXPERTS),
    "olmo2": (Olmo2Config, _LLAMA_LIKE),
    "opt": (OPTConfig, _OPT),
    "phi": (PhiConfig, _LLAMA_LIKE),
    "phi3": (Phi3Config, _LLAMA_LIKE),
    "qwen2": (Qwen2Config, _LLAMA_LIKE),
    "qwen2_5_vl": (_qwen2_5_vl, _LLAMA_LIKE),
    "qwen3": (Qwen3Config, _LLAMA_LIKE | _HEAD_DIM),
    "qwen3_moe": (Qwen3MoeConfig, _LLAMA_LIKE | _HEAD_DIM | _QWEN_EXPERTS),
}

FAMILIES: tuple[str, ...] = tuple(_CONFIGS)
"""Architectures of `tiny_model`: soft-capped (gemma2, gemma3_text), scaled (granite, cohere) and biased (phi) heads;
scaled embeddings (gemma); learned, rotary, ALiBi (bloom) and three-dimensional (qwen2_5_vl) positions; parallel blocks,
sliding windows, attention sinks (gpt_oss), grouped-query attention, mixtures of experts, a model without attention
(mamba), and the text decoders of models that read images too (llava, qwen2_5_vl)."""

READ_IMAGES = frozenset({"llava", "qwen2_5_vl"})
"""The families that read images too."""


def tiny_config(family: str, *, vocab_size: int, **tokens: Any) -> PreTrainedConfig:
    """The configuration of a model of width 64, three layers and 256 positions.

    Args:
        family: one of `FAMILIES`.
        vocab_size: number of tokens.
        **tokens: ids of special tokens, by transformers' names.
    """
    make, sizes = _CONFIGS[family]
    return make(vocab_size=vocab_size, initializer_range=_INITIALIZER_RANGE, **tokens, **sizes)
