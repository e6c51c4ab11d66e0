"""How weights start."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor

from esamp.checks import check_choice

__all__ = ["Start", "check_start", "gaussian"]

Start = Literal["random", "zero"]
"""Output weights at random, or zero: the distiller then starts from its residual path alone."""


def check_start(start: object) -> str:
    """`start`, if it is one of the two.

    Raises:
        ValueError: it is not.
    """
    return check_choice("start", start, ("random", "zero"))


def gaussian(inputs: int, outputs: int, generator: Generator) -> Tensor:
    """[inputs, outputs] weights of variance 1/inputs, on the CPU whatever the default device."""
    return torch.randn(inputs, outputs, generator=generator, device="cpu") * inputs**-0.5
