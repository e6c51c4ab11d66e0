"""Draws that avoid each other: siblings who have written the same so far choose one after the other."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.candidates import Candidates
from esamp.checks import check_number
from esamp.draws.base import Choice, Drawing, TokenDraw, draws
from esamp.noise import gumbel_argmax
from esamp.rows import Rows

__all__ = ["InTurnDraw"]

# Odd: (prefix, token) is spread over 64 bits, and overflow wraps around.
_MULTIPLIER = 0x5851F42D4C957F2D


@final
@draws.register("in_turn")
class InTurnDraw(TokenDraw):
    """Siblings with the same prefix draw in turn, each away from what was drawn there more than its share.

    After r draws at a prefix, n_a of them of token a, q(a) = (α p(a) + n_a) / (α + r) is what to expect of the next:
    the predictive distribution of a Dirichlet process with base measure p. Drawn is from p' ∝ p (p / q)^g, which is
    Eq. 6 of ESamp (z' = (1 + β) z - β ẑ, arXiv 2604.24927) with β = g and ẑ = log q: a distiller of what siblings
    choose. The first draws from p itself. The more draw, the nearer their shares are to p, with less spread than
    independent draws have; rare tokens are hardly drawn twice, a token that the LLM is sure of is drawn by all.

    Once prefixes have parted, draws are independent. All of a prompt's samples must be in one wave to see each other.

    Args:
        gain: g, 0 is independent draws.
        prior: α > 0, how many draws p itself counts for.

    Raises:
        TypeError: an argument is no number.
        ValueError: an argument is out of range.
    """

    def __init__(self, gain: float = 4.0, prior: float = 1.0) -> None:
        self.gain: float = check_number("gain", gain, low=0)
        self.prior: float = check_number("prior", prior, low=0, low_open=True)

    @override
    def begin(
        self, seed: int, sample: Int[Tensor, " places"], total: Int[Tensor, " places"], prompt: Int[Tensor, " places"]
    ) -> Drawing:
        return _Turns(seed, self.gain, self.prior, _mixed(torch.zeros_like(prompt), prompt))


@final
class _Turns(Drawing):
    """What each place has written so far, as a number: equal for equal texts of one prompt, int64 [places]."""

    def __init__(self, seed: int, gain: float, prior: float, prefix: Int[Tensor, " places"]) -> None:
        self.seed = seed
        self.gain = gain
        self.prior = prior
        self.prefix = prefix

    @override
    def __call__(
        self,
        log_probs: Float[Tensor, "rows candidates"],
        candidates: Candidates,
        rows: Rows,
        place: Int[Tensor, " rows"],
    ) -> Choice:
        prefix = self.prefix[place]
        together = prefix.unsqueeze(1) == prefix
        turn = (together & (rows.sample < rows.sample.unsqueeze(1))).sum(dim=1)
        first = together.int().argmax(dim=1)
        choice = self._draw(log_probs, candidates, rows)
        # The host looks how often it has to go round: once, as soon as all prefixes have parted.
        rounds = int(turn.max()) if len(turn) else 0
        drawn_by_others = torch.zeros_like(log_probs)
        for now in range(1, rounds + 1):
            token = candidates.ids.gather(-1, choice.place.unsqueeze(-1)).squeeze(-1)
            just_drawn = torch.full_like(token, -1)
            just_drawn[first[turn == now - 1]] = token[turn == now - 1]
            drawn_by_others += candidates.ids == just_drawn[first].unsqueeze(-1)
            tilted = self._tilted(log_probs, drawn_by_others, turn)
            again = self._draw(tilted, candidates, rows)
            choice = Choice(*(torch.where(turn >= now, new, old) for new, old in zip(again, choice, strict=True)))
        token = candidates.ids.gather(-1, choice.place.unsqueeze(-1)).squeeze(-1)
        self.prefix[place] = _mixed(prefix, token)
        return choice

    def _draw(self, log_probs: Tensor, candidates: Candidates, rows: Rows) -> Choice:
        whole = candidates.whole_vocabulary
        drawn = gumbel_argmax(log_probs, candidates.ids, self.seed, rows.sample, rows.step, whole_vocabulary=whole)
        return Choice.of(drawn, log_probs)

    def _tilted(self, log_probs: Tensor, drawn: Tensor, turn: Tensor) -> Tensor:
        """Log p' ∝ log p - g log(q / p), up to the constant (α + r) of a row."""
        ratio = self.prior + torch.where(drawn > 0, drawn * (-log_probs).exp(), 0.0)
        return (log_probs - self.gain * ratio.log()).log_softmax(dim=-1)


def _mixed(prefix: Tensor, token: Tensor) -> Tensor:
    mixed = (prefix ^ (token + 1)) * _MULTIPLIER
    return mixed ^ (mixed >> 29)
