"""How weights start."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from esamp.checks import check_choice

__all__ = ["check_start", "gaussian"]


def check_start(start: object) -> str:
    """`start`: "random", or "zero" for output weights of zero, so that a distiller starts from its residual path.

    Raises:
        ValueError: it is neither.
    """
    return check_choice("start", start, ("random", "zero"))


def gaussian(inputs: int, outputs: int, generator: Generator) -> Tensor:
    """[inputs, outputs] weights of variance 1/inputs, on the CPU whatever the default device."""
    return torch.randn(inputs, outputs, generator=generator, device="cpu") * inputs**-0.5
