"""Tiny random models of many architectures and a tiny tokenizer: built in code, seeded, without any download."""

from __future__ import annotations

from collections.abc import Callable
from string import printable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, processors
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    OPTConfig,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from esamp.checks import check_choice, check_integer

__all__ = ["FAMILIES", "tiny_model", "tiny_tokenizer"]

_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>")
_PAD, _EOS, _BOS, _UNK = range(len(_SPECIAL))
_CONTEXT = 256
_WIDTH, _LAYERS, _HEADS = 64, 3, 4

# The default range of transformers, 0.02, makes logits so flat at this width that no filter has anything to do.
_INITIALIZER_RANGE = 0.2

_COMMON: dict[str, Any] = {
    "pad_token_id": _PAD,
    "eos_token_id": _EOS,
    "bos_token_id": _BOS,
    "initializer_range": _INITIALIZER_RANGE,
}
_LLAMA_LIKE: dict[str, Any] = {
    "hidden_size": _WIDTH,
    "intermediate_size": 2 * _WIDTH,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "num_key_value_heads": _HEADS // 2,
    "max_position_embeddings": _CONTEXT,
}
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
_GPT_NEOX = {name: value for name, value in _LLAMA_LIKE.items() if name != "num_key_value_heads"}
_MAMBA: dict[str, Any] = {"hidden_size": _WIDTH, "num_hidden_layers": _LAYERS, "state_size": 8}

_CONFIGS: dict[str, tuple[Callable[..., PreTrainedConfig], dict[str, Any]]] = {
    "llama": (LlamaConfig, _LLAMA_LIKE),
    "cohere": (CohereConfig, _LLAMA_LIKE | {"logit_scale": 0.5}),
    "gemma2": (Gemma2Config, _LLAMA_LIKE | {"head_dim": _WIDTH // _HEADS, "final_logit_softcapping": 5.0}),
    "gpt2": (GPT2Config, _GPT2),
    "gpt_neox": (GPTNeoXConfig, _GPT_NEOX),
    "granite": (GraniteConfig, _LLAMA_LIKE | {"logits_scaling": 2.0}),
    "mamba": (MambaConfig, _MAMBA),
    "mistral": (MistralConfig, _LLAMA_LIKE | {"sliding_window": 16}),
    "opt": (OPTConfig, _OPT),
    "phi": (PhiConfig, _LLAMA_LIKE),
    "qwen2": (Qwen2Config, _LLAMA_LIKE),
}

FAMILIES: tuple[str, ...] = tuple(_CONFIGS)
"""Architectures of `tiny_model`: soft-capped (gemma2), scaled (granite, cohere) and biased (phi) heads, learned and
rotary positions, parallel blocks, a sliding window, grouped-query attention, and one model without attention."""

_CHAT_TEMPLATE = (
    "<bos>{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def tiny_model(family: str = "llama", *, vocab_size: int = 256, seed: int = 0) -> PreTrainedModel:
    """A random model in evaluation mode: width 64, three layers, 256 positions, float32; the global seed is untouched.

    Args:
        family: one of `FAMILIES`.
        vocab_size: number of tokens; ids 0 to 3 are padding, end, beginning and unknown, as in `tiny_tokenizer`.
        seed: of the weights.

    Raises:
        ValueError: the family is unknown or the vocabulary does not hold the four special tokens.
    """
    make, sizes = _CONFIGS[check_choice("family", family, FAMILIES)]
    check_integer("vocab_size", vocab_size, low=len(_SPECIAL) + 1)
    config = make(vocab_size=vocab_size, **_COMMON, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_integer("seed", seed, low=0))
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        _randomise_biases(model)
    return model.eval()


def tiny_tokenizer(vocab_size: int = 256, *, chat_template: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer of single ASCII characters and pairs of letters: any ASCII text survives encoding and decoding.

    It puts `<bos>` before a text, pads on the left, and ends at `<eos>`.

    Args:
        vocab_size: four special tokens, 100 characters, and as many pairs as then fit: 104 to 780.
        chat_template: give it a chat template, which writes `<bos>` itself.

    Raises:
        ValueError: `vocab_size` is out of range.
    """
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    merges = [(first, second) for first in letters for second in letters]
    characters = list(printable)
    fixed = len(_SPECIAL) + len(characters)
    merges = merges[: check_integer("vocab_size", vocab_size, low=fixed, high=fixed + len(merges)) - fixed]
    tokens = [*_SPECIAL, *characters, *(first + second for first, second in merges)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=_SPECIAL[_UNK]))
    tokenizer.decoder = decoders.Fuse()
    beginning = _SPECIAL[_BOS]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{beginning} $A", pair=f"{beginning} $A $B", special_tokens=[(beginning, _BOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_SPECIAL[_PAD],
        eos_token=_SPECIAL[_EOS],
        bos_token=beginning,
        unk_token=_SPECIAL[_UNK],
        padding_side="left",
        chat_template=_CHAT_TEMPLATE if chat_template else None,
    )


@torch.no_grad()
def _randomise_biases(model: PreTrainedModel) -> None:
    """Biases start at zero in transformers, where forgetting one in the head would go unnoticed."""
    head: Any = model.get_output_embeddings()
    if getattr(head, "bias", None) is not None:
        head.bias.normal_(std=1.0)
