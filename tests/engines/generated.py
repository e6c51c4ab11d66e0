"""transformers' own `generate` with our draws: what every door is held to at β = 0."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from esamp.noise import gumbel_noise_of_vocabulary


@contextmanager
def our_draws(seed: int, n: int) -> Iterator[None]:
    """While entered, `torch.multinomial` is argmax(log p + our noise) for rows that are n samples of each prompt."""
    steps = count()

    def draw(probabilities: Tensor, num_samples: int) -> Tensor:
        assert num_samples == 1
        rows, vocabulary = probabilities.shape
        noise = gumbel_noise_of_vocabulary(vocabulary, seed, torch.arange(rows) % n, next(steps))
        return (probabilities.log() + noise).argmax(dim=-1, keepdim=True)

    with mock.patch.object(torch, "multinomial", draw):
        yield


def generated(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    *,
    n: int,
    seed: int = 0,
    **settings: Any,
) -> Any:
    """`model.generate` with our draws; what it returns."""
    inputs = tokenizer(prompts, padding=True, return_tensors="pt", return_token_type_ids=False)
    with our_draws(seed, n):
        return model.generate(**inputs, do_sample=True, num_return_sequences=n, **settings)
