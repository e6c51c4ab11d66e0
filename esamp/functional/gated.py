"""How much a gated neuron says on average."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import silu

__all__ = ["gated_energy"]

# The trapezoidal rule on Gaussian integrals of a smooth function: exact to float32 at this spacing.
_REACH, _POINTS = 9.0, 181


def gated_energy(
    gate: Float[Tensor, "neurons d"], up: Float[Tensor, "neurons d"], down: Float[Tensor, "neurons e"]
) -> Float[Tensor, " neurons"]:
    """‖w‖² E[SiLU(g·x)² (u·x)²] of each neuron (g, u, w), for x ~ N(0, 1) in every coordinate.

    With a = ‖g‖, c = ‖u‖, ρ the cosine between g and u, and ξ ~ N(0, 1), u·x is c (ρ ξ + √(1 - ρ²) ξ') where g·x is
    a ξ, so the expectation is c² (ρ² E[SiLU(a ξ)² ξ²] + (1 - ρ²) E[SiLU(a ξ)²]): two integrals over one dimension.

    Examples:
        >>> round(float(gated_energy(torch.eye(2)[:1], torch.eye(2)[1:], 2 * torch.ones(1, 1))), 4)
        1.4231
    """
    point = torch.linspace(-_REACH, _REACH, _POINTS, device=gate.device)
    density = torch.exp(-point.square() / 2)
    density = density / density.sum()
    size = torch.linalg.vector_norm(gate, dim=1)
    response = silu(size.unsqueeze(1) * point).square() * density
    cosine = torch.cosine_similarity(gate, up, dim=1).square()
    along, across = response @ point.square(), response.sum(dim=1)
    expected = up.square().sum(dim=1) * (cosine * along + (1 - cosine) * across)
    return expected * down.square().sum(dim=1)
