"""Prompts of different lengths as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["left_padded"]


def left_padded(
    prompts: Sequence[Sequence[int]], more: int, device: torch.device
) -> tuple[Int[Tensor, "prompts length"], Int[Tensor, "prompts positions"]]:
    """Token ids, padded on the left, and the attention mask of these and of `more` positions to come.

    >>> ids, mask = left_padded([[5, 6], [7]], 1, torch.device("cpu"))
    >>> ids.tolist(), mask.tolist()
    ([[5, 6], [0, 7]], [[1, 1, 1], [0, 1, 1]])
    """
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.int64)
    mask = torch.ones(len(prompts), longest + more, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        start = longest - len(prompt)
        ids[row, start:] = torch.tensor(prompt)
        mask[row, :start] = 0
    return ids.to(device), mask.to(device)
