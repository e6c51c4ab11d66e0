"""Tiny random models of many architectures and a tiny tokenizer: built in code, seeded, without any download."""

from __future__ import annotations

from string import printable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, processors
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from esamp.checks import check_choice, check_integer
from esamp.testing.families import FAMILIES, READ_IMAGES, tiny_config

__all__ = ["FAMILIES", "tiny_model", "tiny_tokenizer"]

_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>")
_PAD, _EOS, _BOS, _UNK = range(len(_SPECIAL))

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
    check_choice("family", family, FAMILIES)
    check_integer("vocab_size", vocab_size, low=len(_SPECIAL) + 1)
    tokens = {"pad_token_id": _PAD, "eos_token_id": _EOS, "bos_token_id": _BOS}
    config = tiny_config(family, vocab_size=vocab_size, **tokens)
    auto = AutoModelForImageTextToText if family in READ_IMAGES else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_integer("seed", seed, low=0))
        model: PreTrainedModel = auto.from_config(config, dtype=torch.float32)
        _randomise_biases(model)
    # A model that reads images does not look for them where its text model has them.
    model.generation_config = GenerationConfig(**tokens)
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
