"""From the candidates' logits to the distribution that is drawn from, with what ESamp makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.kernels.dispatch import uses_triton
from esamp.kernels.distribution import reference as torch_reference

__all__ = ["Tilt", "Tilted", "plain_distribution", "tilted_distribution"]


@dataclass(frozen=True)
class Tilt:
    """How z is tilted: z' = z + β (slope · z - ẑ).

    A row is tilted if its group is ready (has had `warmup` updates) and sound (every row of it has a finite norm).

    Attributes:
        distilled: ẑ; any numbers, not even finite ones, in rows that are not tilted.
        beta: β of each row.
        slope: 1 for the paper's fusion (ESamp, Eq. 6), 0 for its ablation.
        norm: ‖hᴸ - ĥᴸ‖ of each row.
        slot: slot of each row, or None where each slot has `lanes` neighbouring rows.
        lanes: most rows of a slot.
        updates: of each slot.
        warmup: updates before a group is ready.
    """

    distilled: Float[Tensor, "rows candidates"]
    beta: Float[Tensor, " rows"]
    slope: float
    norm: Float[Tensor, " rows"]
    slot: Int[Tensor, " rows"] | None
    lanes: int
    updates: Int[Tensor, " groups"]
    warmup: int


@dataclass(frozen=True)
class Tilted:
    """What came of it.

    Attributes:
        logits: z', before temperature; 0 in empty places.
        log_probs: log softmax(z' / T); -inf in empty places.
        kl: KL from softmax(z / T), nats.
        weight: 1 for rows whose norm is finite, else 0: what may be learnt from.
    """

    logits: Float[Tensor, "rows candidates"]
    log_probs: Float[Tensor, "rows candidates"]
    kl: Float[Tensor, " rows"]
    weight: Float[Tensor, " rows"]


def plain_distribution(
    reference: Float[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    temperature: Float[Tensor, "rows 1"],
) -> Float[Tensor, "rows candidates"]:
    """Log softmax(z / T) of the candidates; -inf in empty places.

    Args:
        reference: the LLM's logits z.
        mask: False where a place is empty.
        temperature: T of each row.
    """
    if uses_triton(reference):
        from esamp.kernels.distribution.triton import run_plain

        return run_plain(reference, mask, temperature)
    return torch_reference.plain(reference, mask, temperature)


def tilted_distribution(
    reference: Float[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    temperature: Float[Tensor, "rows 1"],
    tilt: Tilt,
) -> Tilted:
    """The distribution that `tilt` makes of z, over the candidates.

    Args:
        reference: the LLM's logits z.
        mask: False where a place is empty.
        temperature: T of each row.
        tilt: how, and of which rows.
    """
    if uses_triton(reference):
        from esamp.kernels.distribution.triton import run_tilted

        return Tilted(*run_tilted(reference, mask, temperature, tilt))
    slot = tilt.slot
    if slot is None:
        slot = tilt.updates.new_tensor(range(len(reference))) // tilt.lanes
    beta = torch_reference.effective_beta(tilt.beta, tilt.norm, slot, tilt.updates, tilt.warmup)
    made = torch_reference.tilted(reference, mask, temperature, tilt.distilled, beta, tilt.slope)
    return Tilted(*made, tilt.norm.isfinite().to(beta.dtype))
