"""The inputs that `model.generate` has prepared and repeated, taken back to prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from esamp.engines.huggingface.caller import argument_of_generate

__all__ = ["check_arguments", "check_positions", "prompts_of"]

# What ESamp's own forward makes itself: a mask and positions (both checked), a cache of its own, one logit a row.
_OWN = frozenset({"attention_mask", "position_ids", "past_key_values", "cache_params", "use_cache", "logits_to_keep"})

# Arguments of `generate` itself, which it does not pass on.
_OF_GENERATE = {
    "assistant_model": "assisted decoding proposes tokens that ESamp has not seen",
    "synced_gpus": "samples end at different steps in different processes",
}


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check what `generate` would pass on to the model: text alone, from its beginning.

    Raises:
        ValueError: there is an assistant, a cache of the caller's, or an input other than text; it is named.
    """
    for name, why in _OF_GENERATE.items():
        if arguments.get(name) or argument_of_generate(name):
            raise ValueError(f"{name} must be left out with ESampSampler as custom_generate: {why}")
    for name in ("past_key_values", "cache_params"):
        if getattr(arguments.get(name), "_is_user_defined", False):
            raise ValueError(
                f"{name} must be left out with ESampSampler as custom_generate: rows are reordered and leave "
                "a cache of ESamp's own; pass the whole text as input_ids"
            )
    for name, value in arguments.items():
        if name not in _OWN and not _says_nothing(value):
            # Where a model reads images, `generate` has already encoded the pixels.
            given = "pixel_values" if name == "mm_encoder_outputs" else name
            raise ValueError(
                f"{given} must be left out with ESampSampler as custom_generate, which reads input_ids and "
                "attention_mask alone; it samples from text"
            )


def _says_nothing(value: Any) -> bool:
    """Whether an argument is empty; `generate` adds a dict of what images became, where a model reads them."""
    return value is None or value is False or (isinstance(value, dict) and all(map(_says_nothing, value.values())))


def prompts_of(
    input_ids: Int[Tensor, "rows length"], mask: Int[Tensor, "rows length"] | None, n: int
) -> list[list[int]]:
    """Token ids of each prompt without its padding, from rows that hold each prompt n times.

    Raises:
        ValueError: there is no text, padding is not on the left alone, or the rows are not n of each prompt.
    """
    if input_ids.shape[1] == 0:
        raise ValueError(
            "input_ids must hold the text with ESampSampler as custom_generate, got none; embeddings alone do not do"
        )
    if mask is None:
        mask = torch.ones_like(input_ids)
    mask = (mask != 0).long()
    if bool((mask.diff(dim=1) < 0).any()) or not bool(mask[:, -1].all()):
        raise ValueError(
            "attention_mask must be padded on the left alone with ESampSampler as custom_generate; "
            "set tokenizer.padding_side = 'left'"
        )
    rows = input_ids.unflatten(0, (-1, n)) if len(input_ids) % n == 0 else None
    if rows is None or not torch.equal(rows, rows[:, :1].expand_as(rows)):
        raise ValueError(
            f"input_ids must hold each prompt num_return_sequences = {n} times in a row, as `generate` prepares them, "
            f"got {len(input_ids)} other rows; call model.generate(custom_generate=sampler)"
        )
    lengths = mask[::n].sum(dim=1).tolist()
    return [row[-length:] for row, length in zip(input_ids[::n].tolist(), lengths, strict=True)]


def check_positions(positions: Tensor | None, input_ids: Tensor, mask: Tensor | None) -> None:
    """Check that positions count the tokens of each row, padding left out.

    Raises:
        ValueError: they are others.
    """
    if positions is None:
        return
    counted = (torch.ones_like(input_ids) if mask is None else mask.long()).cumsum(dim=-1) - 1
    if not bool((positions == counted.clamp_min(0)).all()):
        raise ValueError(
            "position_ids must be left out with ESampSampler as custom_generate, or count each row's tokens from 0"
        )
