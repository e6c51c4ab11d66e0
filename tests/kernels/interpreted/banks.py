"""Random banks and rows for the tests of the kernels, and what counts as equal in each dtype."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# (dtype, atol, rtol): of the kernels, whose sums are float32, against the same inputs in float64.
FLOAT32 = (torch.float32, 3e-5, 1e-5)
FLOAT16 = (torch.float16, 8e-3, 2e-3)
BFLOAT16 = (torch.bfloat16, 4e-2, 1.6e-2)
TOLERANCES = (FLOAT32, FLOAT16, BFLOAT16)


@dataclass
class Bank:
    """Gated blocks of a few slots."""

    gate_up: list[Tensor]
    down: list[Tensor]
    scale: Tensor
    bias: Tensor

    def double(self) -> Bank:
        """The same in float64."""
        return Bank(
            *([w.double() for w in ws] for ws in (self.gate_up, self.down)), self.scale.double(), self.bias.double()
        )

    @property
    def weights(self) -> list[Tensor]:
        """Block by block."""
        return [weight for pair in zip(self.gate_up, self.down, strict=True) for weight in pair]


def bank(slots: int, d: int, inner: int, dtype: torch.dtype = torch.float32, blocks: int = 2) -> Bank:
    generator = torch.Generator().manual_seed(slots * d + inner)

    def gaussian(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=generator) * scale).to(dtype)

    gate_up = [gaussian(slots, d, 2 * inner, scale=d**-0.5) for _ in range(blocks)]
    down = [gaussian(slots, inner, d, scale=inner**-0.5) for _ in range(blocks)]
    return Bank(gate_up, down, gaussian(slots, d), gaussian(slots, d))


def gaussian(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
