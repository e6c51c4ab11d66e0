"""How weights start."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from esamp.checks import check_choice

__all__ = ["Given", "check_start", "gaussian"]


@dataclass(frozen=True)
class Given:
    """Weights that are given rather than drawn: the LLM's own, or those of a file.

    Attributes:
        weights: of one group, without the group axis, float32 on the CPU.
        hidden_size: the width d they are for.
        origin: where they are from, for errors.
    """

    weights: dict[str, Tensor]
    hidden_size: int
    origin: str

    def at(self, hidden_size: int) -> dict[str, Tensor]:
        """The weights, for a model of that width.

        Raises:
            ValueError: they are for another width.
        """
        if hidden_size != self.hidden_size:
            raise ValueError(
                f"start must be of the model's hidden size {hidden_size}, and that of {self.origin} is "
                f"{self.hidden_size}; train one for this model with `esamp fit`"
            )
        return dict(self.weights)


def check_start(start: object, names: Collection[str]) -> str:
    """`start`: one of `names`, or the path of a file: something with a dot or a slash in it.

    Raises:
        ValueError: it is neither.
    """
    written = os.fspath(start) if isinstance(start, os.PathLike) else start
    if isinstance(written, str) and any(sign in written for sign in (".", "/", os.sep)):
        return written
    return check_choice("start, unless it is the path of a file,", written, names)


def gaussian(inputs: int, outputs: int, generator: Generator) -> Tensor:
    """[inputs, outputs] weights of variance 1/inputs, on the CPU whatever the default device."""
    return torch.randn(inputs, outputs, generator=generator, device="cpu") * inputs**-0.5
