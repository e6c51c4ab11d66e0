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

    Examples:
        Rows of equal seeds, samples and steps draw the same:

        >>> import torch
        >>> from esamp.candidates import Filters
        >>> from esamp.rows import Rows
        >>> rows = Rows.of_prompts(torch.tensor([0, 1, 2]), torch.zeros(3, 1))
        >>> candidates = Filters().select(torch.zeros(3, 1000))
        >>> drawing = GumbelDrawing(torch.tensor([5, 5, 6]))
        >>> place = drawing(candidates.reference.log_softmax(dim=-1), candidates, rows, torch.arange(3)).place
        >>> (place == place[0]).tolist()
        [True, True, False]
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
