"""Draws that are spread evenly over the n samples of a prompt."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.candidates import Candidates
from esamp.draws.base import Choice, Drawing, TokenDraw, draws
from esamp.noise import philox
from esamp.rows import Rows

__all__ = ["ArithmeticDraw"]

_WORD = 0xFFFFFFFF
_FINEST = 2.0**-53
# The last counter word keeps these streams apart from those of tokens (0) and of normal noise (1).
_OFFSET, _DIGITS = 2, 3


@final
@draws.register("arithmetic")
class ArithmeticDraw(TokenDraw):
    """Arithmetic sampling (Vilnis et al., arXiv 2210.15458): sample i decodes the code point c = (u + i/n) mod 1.

    The token whose interval [lo, hi) of the cumulative distribution holds c is taken, tokens in order of their ids, and
    c ← (c - lo) / (hi - lo) goes on to the next step. Each sample alone is an exact draw, since c is uniform; together
    the n of a prompt are spread evenly over the tree of all texts. u is a function of the seed.

    Once a text has an interval of at most 1/n, no other sample can have it, and what is left of c is uniform: from then
    on a number keyed by (seed, sample, step) takes its place. That goes beyond the paper, for two reasons: a float64
    has 53 binary digits, which about 37 nats of text use up; and the division blows rounding up from step to step, so
    that the last bits of the logits, which depend on what else is in the batch, would soon decide.
    """

    @override
    def begin(
        self, seed: int, sample: Int[Tensor, " places"], total: Int[Tensor, " places"], prompt: Int[Tensor, " places"]
    ) -> Drawing:
        start = _uniform(seed, torch.zeros_like(sample), torch.zeros_like(sample), _OFFSET)
        return _CodePoints(seed, (start + sample / total.double()) % 1.0, 1.0 / total.double())


@final
class _CodePoints(Drawing):
    """The code points of a batch, the size of the interval that each is in so far, and 1/n; float64 [places]."""

    def __init__(self, seed: int, code: Float[Tensor, " places"], spacing: Float[Tensor, " places"]) -> None:
        self.seed = seed
        self.code = code
        self.spacing = spacing
        self.size = torch.ones_like(code)

    @override
    def __call__(
        self,
        log_probs: Float[Tensor, "rows candidates"],
        candidates: Candidates,
        rows: Rows,
        place: Int[Tensor, " rows"],
    ) -> Choice:
        alone = self.size[place] <= self.spacing[place]
        code = torch.where(alone, _uniform(self.seed, rows.sample, rows.step, _DIGITS), self.code[place])
        # Rounding may bring a code point to 1.
        code = code.clamp(0.0, 1.0 - _FINEST)
        ends = log_probs.double().exp().cumsum(dim=-1)
        # To 1 at the end, so that the last token has what rounding left over; empty places have no width.
        ends = ends / ends[:, -1:]
        # All intervals that end at or before the code point lie to the left of it, those without width too.
        drawn = (ends <= code.unsqueeze(-1)).sum(dim=-1, keepdim=True)
        high = ends.gather(-1, drawn)
        low = torch.where(drawn > 0, ends.gather(-1, (drawn - 1).clamp_min(0)), 0.0)
        share = (high - low).squeeze(-1)
        self.code[place] = (code - low.squeeze(-1)) / share
        self.size[place] *= share
        return Choice.of(drawn.squeeze(-1), log_probs)


def _uniform(seed: int, sample: Tensor, step: Tensor, stream: int) -> Tensor:
    """A number in [0, 1) of 53 random bits, float64, for each (seed, sample, step)."""
    zeros = torch.zeros_like(sample)
    high, low, _, _ = philox((zeros, zeros + step, sample, zeros + stream), (seed & _WORD, seed >> 32))
    return ((high >> 5).double() * 2.0**26 + (low >> 6).double()) * _FINEST
