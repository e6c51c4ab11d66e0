"""A distiller that fits at once: exact recursive ridge regression on random gated features."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import rms_norm, silu
from typing_extensions import override

from esamp.checks import check_integer, check_number
from esamp.distillers.base import Distiller, distillers, living_mean
from esamp.distillers.initial import gaussian
from esamp.distillers.optimizers.base import per_slot
from esamp.distillers.recall import Recall

__all__ = ["RecursiveLeastSquaresDistiller"]


@final
@distillers.register("recursive_least_squares")
class RecursiveLeastSquaresDistiller(Distiller):
    """ĥᴸ = φ(h¹) W with φ(h) = [R₁ x, SiLU(R₂ x), 1], x = RMSNorm(h), R fixed.

    At every step T, W is the exact minimiser of

        Σ_t λ^(T-t) Σ_rows ‖hᴸ_t - φ_t W‖² + λ^T ridge ‖W‖².

    There is no learning rate. It predicts zero before it has learnt. The inverse P of the features' covariance is kept
    as a square root, P = U Uᵀ, and updated by Andrews' formula (AIAA Journal 6, 1968): P stays positive in float32
    however long the run, which the textbook form P - K φ P does not.

    Args:
        features: width of R₁ and of R₂; φ has 2 · features + 1 entries.
        ridge: strength of the prior, > 0.
        forgetting: λ in (0, 1]; 1 forgets nothing.
        seed: of R₁ and R₂, which all slots share.

    Raises:
        ValueError: an argument is out of range.
    """

    _linear: Tensor
    _gate: Tensor
    _root: Tensor
    _map: Tensor

    def __init__(self, features: int = 256, ridge: float = 10.0, forgetting: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.features = check_integer("features", features, low=1)
        self.ridge = check_number("ridge", ridge, low=0, low_open=True)
        self.forgetting = check_number("forgetting", forgetting, low=0, high=1, low_open=True)
        self.seed = check_integer("seed", seed, low=0)
        # φ and φ W of the rows that were predicted last.
        self._predictions: Recall[tuple[Tensor, Tensor]] = Recall()

    @override
    def setup(self, hidden_size: int, groups: int, device: torch.device | str = "cpu") -> None:
        generator = torch.Generator("cpu").manual_seed(self.seed)
        size = 2 * self.features + 1
        self.register_buffer("_linear", gaussian(hidden_size, self.features, generator).to(device))
        self.register_buffer("_gate", gaussian(hidden_size, self.features, generator).to(device))
        self.register_buffer("_root", torch.zeros(groups, size, size, device=device))
        self.register_buffer("_map", torch.zeros(groups, size, hidden_size, device=device))
        self.reset(torch.ones(groups, dtype=torch.bool, device=device))

    @override
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        phi = self._phi(shallow)
        predicted = torch.bmm(phi, self._map)
        self._predictions.keep((phi, predicted), shallow, self._map)
        return predicted

    @override
    @torch.no_grad()
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        if (known := self._predictions.find(shallow, self._map)) is None:
            phi = self._phi(shallow)
            known = phi, torch.bmm(phi, self._map)
        # A row of zero features and zero error teaches nothing.
        empty = weight.unsqueeze(-1) == 0
        phi, error = known[0].masked_fill(empty, 0.0), (deep - known[1]).masked_fill(empty, 0.0)
        living = weight.sum(dim=-1)
        self._root.mul_(per_slot(torch.where(living > 0, self.forgetting**-0.5, 1.0), self._root))
        # P⁺ = U (I - Fᵀ S⁻¹ F) Uᵀ with F = φ U and S = I + F Fᵀ = L Lᵀ; the root of the bracket is
        # I - Fᵀ L⁻ᵀ (L + I)⁻¹ F, and the gain is K = U Fᵀ S⁻¹.
        projected = torch.bmm(phi, self._root)
        identity = torch.eye(phi.shape[1], device=phi.device)
        lower, _ = torch.linalg.cholesky_ex(identity + projected @ projected.mT)
        spread = torch.bmm(self._root, projected.mT)
        self._map.baddbmm_(spread, torch.cholesky_solve(error, lower))
        inner = torch.linalg.solve_triangular(lower + identity, projected, upper=False)
        inner = torch.linalg.solve_triangular(lower.mT, inner, upper=True)
        self._root.baddbmm_(spread, inner, alpha=-1)
        return living_mean(error.square().mean(dim=-1), weight)

    @override
    @torch.no_grad()
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        start = torch.eye(self._root.shape[1], device=self._root.device) * self.ridge**-0.5
        self._root.copy_(torch.where(per_slot(mask, self._root), start, self._root))
        self._map.masked_fill_(per_slot(mask, self._map), 0.0)

    def _phi(self, shallow: Tensor) -> Tensor:
        x = rms_norm(shallow, shallow.shape[-1:])
        one = x.new_ones(*x.shape[:-1], 1)
        return torch.cat([x @ self._linear, silu(x @ self._gate), one], dim=-1)
