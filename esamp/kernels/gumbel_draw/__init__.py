"""A candidate of each row by Gumbel noise that is keyed as in `esamp.noise`."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from esamp.kernels.dispatch import uses_triton
from esamp.noise import gumbel_argmax

__all__ = ["gumbel_draw"]


def gumbel_draw(
    log_probs: Float[Tensor, "rows candidates"],
    ids: Int[Tensor, "rows candidates"],
    seed: int | Int[Tensor, " rows"],
    sample: Int[Tensor, " rows"],
    step: Int[Tensor, " rows"],
    *,
    whole_vocabulary: bool = False,
) -> Int[Tensor, " rows"]:
    """Place of the drawn candidate: `esamp.noise.gumbel_argmax`, which is its reference, in one launch.

    Args:
        log_probs: -inf in empty places, which are never drawn.
        ids: token ids.
        seed: in [0, 2^63); with one for each row it is drawn by the reference.
        sample: index of each row's sample.
        step: number of tokens each sample has.
        whole_vocabulary: the ids are 0, 1, 2, ... in every row.
    """
    if isinstance(seed, int) and uses_triton(log_probs):
        from esamp.kernels.gumbel_draw.triton import run

        return run(log_probs, None if whole_vocabulary else ids, seed, sample, step)
    return gumbel_argmax(log_probs, ids, seed, sample, step, whole_vocabulary=whole_vocabulary)
