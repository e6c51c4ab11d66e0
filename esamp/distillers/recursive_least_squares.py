"""A distiller that fits at once: exact recursive ridge regression on random gated features."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad, silu
from typing_extensions import override

from esamp.checks import check_integer, check_number
from esamp.distillers.base import Distiller, distillers, living_mean
from esamp.distillers.initial import gaussian
from esamp.distillers.optimizers.base import per_slot
from esamp.distillers.recall import Recall
from esamp.functional import surely_all

__all__ = ["RecursiveLeastSquaresDistiller"]

# Rows of a group that are learnt from together; a system of so many rows by rows is solved.
_AT_ONCE = 128

# Keeps a hidden state of zeros from being divided by zero.
_TINY = 1e-12


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

    _directions: Tensor
    _state: Tensor

    def __init__(self, features: int = 64, ridge: float = 10.0, forgetting: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.features: int = check_integer("features", features, low=1)
        self.ridge: float = check_number("ridge", ridge, low=0, low_open=True)
        self.forgetting: float = check_number("forgetting", forgetting, low=0, high=1, low_open=True)
        self.seed: int = check_integer("seed", seed, low=0)
        # φ [U, W] of the rows that were predicted last.
        self._predictions: Recall[Tensor] = Recall()

    @override
    def setup(self, hidden_size: int, groups: int, device: torch.device | str = "cpu") -> None:
        generator = torch.Generator("cpu").manual_seed(self.seed)
        directions = torch.cat([gaussian(hidden_size, self.features, generator) for _ in range(2)], dim=1)
        self.register_buffer("_directions", directions.mul_(hidden_size**0.5).to(device))
        # [U, W] side by side: one product with φ reads both, and one update writes both.
        self.register_buffer("_state", torch.zeros(groups, self._size, self._size + hidden_size, device=device))
        self.reset(torch.ones(groups, dtype=torch.bool, device=device))

    @override
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        products = torch.bmm(self._phi(shallow), self._state)
        self._predictions.keep(products, shallow, self._state)
        return products[..., self._size :]

    @override
    @torch.no_grad()
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        products = self._predictions.find(shallow, self._state)
        if products is None:
            products = torch.bmm(self._phi(shallow), self._state)
        projected, error = products[..., : self._size], deep - products[..., self._size :]
        whole, empty = surely_all(weight > 0), weight.unsqueeze(-1) == 0
        if not whole:
            # A row of zero features and zero error teaches nothing.
            projected, error = projected.masked_fill(empty, 0.0), error.masked_fill(empty, 0.0)
        if self.forgetting < 1:
            root = self._root
            scale = torch.where(weight.sum(dim=-1) > 0, self.forgetting**-0.5, 1.0)
            root.mul_(per_slot(scale, root))
            projected = projected * per_slot(scale, projected)
        if projected.shape[1] <= _AT_ONCE:
            self._absorb(projected, error)
        else:
            # The same in parts, each from where the last one has left the map: what is solved stays small.
            phi, target = (rows.masked_fill(empty, 0.0) for rows in (self._phi(shallow), deep))
            for some, wanted in zip(phi.split(_AT_ONCE, dim=1), target.split(_AT_ONCE, dim=1), strict=True):
                products = torch.bmm(some, self._state)
                self._absorb(products[..., : self._size], wanted - products[..., self._size :])
        losses = error.square().mean(dim=-1)
        return losses.mean(dim=-1) if whole else living_mean(losses, weight)

    def _absorb(self, projected: Float[Tensor, "groups k size"], error: Float[Tensor, "groups k d"]) -> None:
        """Learn from k rows with F = φ U and errors of their predictions by the map as it is."""
        # P⁺ = U (I - Fᵀ S⁻¹ F) Uᵀ with S = I + F Fᵀ = L Lᵀ; the root of the bracket is
        # I - Fᵀ L⁻ᵀ (L + I)⁻¹ F, and the gain is K = U Fᵀ S⁻¹. The inverses are k by k, and U (L⁻¹ F)ᵀ serves both.
        identity = torch.eye(projected.shape[1], device=projected.device)
        lower, _ = torch.linalg.cholesky_ex(torch.baddbmm(identity, projected, projected.mT))
        inverse = torch.linalg.solve_triangular(lower, identity, upper=False)
        other = torch.linalg.solve_triangular(lower + identity, identity, upper=False)
        spread = torch.bmm(self._root, torch.bmm(inverse, projected).mT)
        change = torch.cat([torch.bmm(other, projected).neg_(), torch.bmm(inverse, error)], dim=-1)
        if self._state.device.type == "cpu":
            # There baddbmm_ takes twice as long.
            self._state.add_(torch.bmm(spread, change))
        else:
            self._state.baddbmm_(spread, change)

    @override
    @torch.no_grad()
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        start = torch.eye(*self._state.shape[1:], device=self._state.device) * self.ridge**-0.5
        self._state.copy_(torch.where(per_slot(mask, self._state), start, self._state))

    @property
    def _size(self) -> int:
        """Number of features, the constant one included."""
        return 2 * self.features + 1

    @property
    def _root(self) -> Tensor:
        """U, [groups, features, features]."""
        return self._state[..., : self._size]

    @property
    def _map(self) -> Tensor:
        """W, [groups, features, d]."""
        return self._state[..., self._size :]

    def _phi(self, shallow: Tensor) -> Tensor:
        # What RMSNorm divides by is √d shorter than the norm; the directions have that √d.
        size = torch.linalg.vector_norm(shallow, dim=-1, keepdim=True).add_(_TINY)
        features = (shallow @ self._directions).div_(size)
        silu(features[..., self.features :], inplace=True)
        return pad(features, (0, 1), value=1.0)
