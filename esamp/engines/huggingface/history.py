"""Everything a batch of samples leaves behind, written step by step into tensors allocated once."""

from __future__ import annotations

import torch
from torch import Tensor

from esamp.policy import Drawn, Fused

__all__ = ["NO_TOKEN", "History"]

NO_TOKEN = -1
"""In place of a token that was drawn from logits that are no numbers."""


class History:
    """Per-token records of all rows of a batch, [rows, steps], and per-step losses, [groups, steps].

    Args:
        rows: number of samples.
        groups: number of distillers.
        steps: longest sample.
        device: where the records live.
    """

    def __init__(self, rows: int, groups: int, steps: int, device: torch.device) -> None:
        shape = (rows, steps)
        self.tokens: Tensor = torch.zeros(shape, dtype=torch.int64, device=device)
        self.candidates: Tensor = torch.zeros(shape, dtype=torch.int64, device=device)
        self.log_probs: Tensor = torch.full(shape, torch.nan, device=device)
        self.reference_log_probs: Tensor = torch.full(shape, torch.nan, device=device)
        self.novelty: Tensor = torch.full(shape, torch.nan, device=device)
        self.kl: Tensor = torch.full(shape, torch.nan, device=device)
        self.loss: Tensor = torch.full((groups, steps), torch.nan, device=device)

    def write(self, step: int, rows: Tensor, fused: Fused, drawn: Drawn, reference: Tensor) -> Tensor:
        """Record one step of the rows whose places in the batch are `rows`; `reference` are the LLM's logits.

        Returns:
            The tokens; `NO_TOKEN` where the LLM's logits, or what was made of them, are no distribution.
        """
        chosen = reference.gather(-1, drawn.tokens.unsqueeze(-1)).squeeze(-1)
        before = chosen - reference.logsumexp(dim=-1)
        self.tokens[rows, step] = drawn.tokens
        self.candidates[rows, step] = fused.candidates.count()
        self.log_probs[rows, step] = drawn.log_probs
        self.reference_log_probs[rows, step] = before
        self.novelty[rows, step] = fused.error_norm
        self.kl[rows, step] = fused.kl
        return drawn.tokens.masked_fill((before + drawn.log_probs).isnan(), NO_TOKEN)
