"""What the host may know of a mask without waiting for a device."""

from __future__ import annotations

import math

from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["free_to_look", "places_if_free", "surely_all", "surely_finite", "surely_none"]


def free_to_look(tensor: Tensor) -> bool:
    """The host may look at its values without waiting for a device."""
    return tensor.device.type == "cpu"


def places_if_free(mask: Bool[Tensor, " places"]) -> list[int] | None:
    """The places where the mask holds, if the host may look; None where that means waiting for a device.

    Examples:
        >>> import torch
        >>> places_if_free(torch.tensor([True, False, True]))
        [0, 2]
    """
    return [place for place, holds in enumerate(mask.tolist()) if holds] if free_to_look(mask) else None


def surely_all(mask: Bool[Tensor, "..."]) -> bool:
    """The mask holds everywhere, and the host can see it: then there is nothing to mask.

    False where looking means waiting for a device, on which masks do the work in every step.

    Examples:
        >>> import torch
        >>> surely_all(torch.tensor([True, True])), surely_all(torch.ones(2, dtype=torch.bool, device="meta"))
        (True, False)
    """
    return free_to_look(mask) and bool(mask.all())


def surely_none(mask: Bool[Tensor, "..."]) -> bool:
    """The mask holds nowhere, and the host can see it.

    Examples:
        >>> import torch
        >>> surely_none(torch.tensor([False, False])), surely_none(torch.tensor([False, True]))
        (True, False)
    """
    return free_to_look(mask) and not bool(mask.any())


def surely_finite(values: Float[Tensor, "..."]) -> bool:
    """All values are finite, and the host can see it: their sum is, which costs one pass. An overflow says False.

    Examples:
        >>> import torch
        >>> surely_finite(torch.tensor([1.0, 2.0])), surely_finite(torch.tensor([1.0, torch.nan]))
        (True, False)
    """
    return free_to_look(values) and math.isfinite(float(values.sum()))
