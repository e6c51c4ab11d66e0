"""Parts as a user's own package would define them; the tests name them by dotted path."""

from __future__ import annotations

from typing import ClassVar

import torch

from esamp.distillers import Distiller, GradientDistiller
from esamp.distillers.optimizers import Adam


class Constant(GradientDistiller):
    """Predicts the same vector, `size` times a learned one, wherever it is."""

    seen: ClassVar[list[float]] = []

    def __init__(self, size: float = 1.0) -> None:
        super().__init__(Adam(), None, 0)
        self.size = size
        Constant.seen.append(size)

    def init_parameters(self, hidden_size, generator):
        return {"mean": torch.zeros(hidden_size)}

    def predict(self, weights, shallow):
        return self.size * weights["mean"].unsqueeze(1).expand_as(shallow)


class Unfinished(Distiller):
    """Abstract still."""
