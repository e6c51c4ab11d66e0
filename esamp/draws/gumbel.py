"""Independent draws."""

from __future__ import annotations

from typing import final

from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.candidates import Candidates
from esamp.draws.base import Choice, Drawing, TokenDraw, draws
from esamp.kernels.gumbel_draw import gumbel_draw
from esamp.rows import Rows

__all__ = ["GumbelDraw", "GumbelDrawing"]


@final
@draws.register("gumbel")
class GumbelDraw(TokenDraw):
    """argmax of log p + Gumbel noise keyed by (seed, sample, step, token id): samples are independent of each other."""

    @override
    def begin(
        self, seed: int, sample: Int[Tensor, " places"], total: Int[Tensor, " places"], prompt: Int[Tensor, " places"]
    ) -> Drawing:
        return GumbelDrawing(seed)


@final
class GumbelDrawing(Drawing):
    """Draws with one seed, or with one for each row, of the rows that it is called with.

    Args:
        seed: in [0, 2^63).
    """

    def __init__(self, seed: int | Int[Tensor, " rows"]) -> None:
        self.seed = seed

    @override
    def __call__(
        self,
        log_probs: Float[Tensor, "rows candidates"],
        candidates: Candidates,
        rows: Rows,
        place: Int[Tensor, " rows"],
    ) -> Choice:
        whole = candidates.whole_vocabulary
        drawn = gumbel_draw(log_probs, candidates.ids, self.seed, rows.sample, rows.step, whole_vocabulary=whole)
        return Choice.of(drawn, log_probs)
