"""Random Llamas of any size, for measurements of speed, which does not depend on what the weights are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, PreTrainedModel

from esamp.checks import check_integer, check_number

__all__ = ["RANDOM_LLAMAS", "LlamaSize", "random_llama"]

# Of transformers' random weights all tokens are about as likely. This spread of the logits leaves a handful of tokens
# within min-p 0.05 of the most likely one, as trained models do.
_LOGIT_SPREAD = 6.0
_PAD, _EOS, _BOS = 0, 1, 2


@dataclass(frozen=True)
class LlamaSize:
    """The sizes of a Llama.

    Attributes:
        hidden_size: d.
        layers: decoder layers.
        heads: of queries.
        key_value_heads: heads of keys and values.
        head_dim: width of a head.
        intermediate_size: inner width of an MLP.
        vocab_size: tokens.
        context: largest number of positions.
        tied: the head is the embeddings' matrix.

    Raises:
        ValueError: a size is below 1.
    """

    hidden_size: int = 512
    layers: int = 2
    heads: int = 8
    key_value_heads: int = 4
    head_dim: int = 64
    intermediate_size: int = 1536
    vocab_size: int = 32_768
    context: int = 4096
    tied: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name != "tied":
                check_integer(name, value, low=1)

    def config(self) -> LlamaConfig:
        """The configuration in transformers' words."""
        return LlamaConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            head_dim=self.head_dim,
            max_position_embeddings=self.context,
            tie_word_embeddings=self.tied,
            pad_token_id=_PAD,
            eos_token_id=_EOS,
            bos_token_id=_BOS,
        )


RANDOM_LLAMAS: dict[str, LlamaSize] = {
    "random-llama-1b": LlamaSize(2048, 16, 32, 8, 64, 8192, 128_256, tied=True),  # as Llama 3.2 1B
    "random-llama-tiny": LlamaSize(64, 2, 4, 2, 16, 128, 512, 512),
}
"""Sizes by the names that `esamp bench --model` knows."""


def random_llama(
    size: LlamaSize, dtype: torch.dtype = torch.bfloat16, *, seed: int = 0, logit_spread: float = _LOGIT_SPREAD
) -> PreTrainedModel:
    """A random model of that size in evaluation mode, built in memory; the global seed is untouched.

    Its special tokens are those of `tiny_tokenizer`, whose ids are below any vocabulary here.

    Args:
        size: of the model.
        dtype: of the weights.
        seed: of the weights.
        logit_spread: standard deviation of the logits, > 0.

    Raises:
        ValueError: an argument is out of range.
    """
    check_number("logit_spread", logit_spread, low=0, low_open=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_integer("seed", seed, low=0))
        model: PreTrainedModel = AutoModelForCausalLM.from_config(size.config(), dtype=dtype)
        with torch.no_grad():
            # The head multiplies a vector of root mean square 1.
            head: Any = model.get_output_embeddings()
            head.weight.normal_(std=logit_spread * size.hidden_size**-0.5)
    model.generation_config = GenerationConfig(pad_token_id=_PAD, eos_token_id=_EOS, bos_token_id=_BOS)
    return model.eval()
