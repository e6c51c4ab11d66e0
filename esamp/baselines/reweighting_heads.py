"""Heads of low rank over the vocabulary that learn online: what OverRIDE steps away from."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from esamp.distillers.optimizers import Adam

__all__ = ["ReweightingHeads"]

_START = 0.02


class ReweightingHeads(nn.Module):
    """Low-rank heads over the vocabulary, [prompts, heads]; float32.

    Args:
        heads: number of them: one of each prompt and sample.
        vocabulary: number of tokens.
        hidden_size: d.
        rank: r.
        lr: Adam's learning rate.
        device: where they live.
    """

    def __init__(
        self, heads: int, vocabulary: int, hidden_size: int, rank: int, lr: float, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__()
        self.rank = rank
        start = torch.randn(rank, hidden_size, generator=torch.Generator().manual_seed(0)) * _START
        self.down: Tensor
        self.up: Tensor
        self.register_buffer("down", start.to(device).repeat(heads, 1, 1))
        self.register_buffer("up", torch.zeros(heads, vocabulary, rank, device=device))
        self.optimizer: Adam = Adam(lr, eps=1e-8)
        self.optimizer.setup([self.down, self.up])

    @override
    def forward(self, hidden: Float[Tensor, "heads d"]) -> Float[Tensor, "heads vocab"]:
        """Δ of each head for its hidden state."""
        return torch.einsum("nvr,nr->nv", self.up, torch.einsum("nrd,nd->nr", self.down, hidden))

    @torch.no_grad()
    def learn(
        self,
        hidden: Float[Tensor, "heads d"],
        reference: Float[Tensor, "heads vocab"],
        tokens: Int[Tensor, " heads"],
        active: Bool[Tensor, " heads"],
    ) -> Float[Tensor, " heads"]:
        """One step on -log softmax(z + Δ)[token] of the active heads; returns the loss before it, NaN elsewhere.

        The gradient is written out: with g = softmax(z + Δ) - onehot(token), ∂B = g (A h)ᵀ and ∂A = (Bᵀ g) hᵀ.
        """
        low = torch.einsum("nrd,nd->nr", self.down, hidden)
        log_probs = (reference + torch.einsum("nvr,nr->nv", self.up, low)).log_softmax(dim=-1)
        loss = -log_probs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        error = log_probs.exp()
        error.scatter_add_(-1, tokens.unsqueeze(-1), torch.full_like(error[:, :1], -1.0))
        up = torch.einsum("nv,nr->nvr", error, low)
        down = torch.einsum("nvr,nv,nd->nrd", self.up, error, hidden)
        self.optimizer.step([self.down, self.up], [down, up], active)
        return loss.masked_fill(~active, torch.nan)

    def take(self, other: ReweightingHeads, places: Int[Tensor, " k"], sources: Int[Tensor, " k"]) -> None:
        """Become, at these places, what the other's heads are at `sources`. Their optimiser starts anew."""
        self.down[places] = other.down[sources]
        self.up[places] = other.up[sources]
