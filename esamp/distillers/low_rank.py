"""One gated low-rank block between two normalisations."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from typing_extensions import override

from esamp.checks import check_integer
from esamp.distillers.base import distillers
from esamp.distillers.fused import FusedDistiller
from esamp.distillers.gradient import Weights
from esamp.distillers.initial import gaussian
from esamp.distillers.optimizers import Adam, GroupedOptimizer
from esamp.distillers.optimizers.base import AdamState
from esamp.distillers.rows import RowLayout
from esamp.kernels.grouped_mlp import grouped_normalised_block_with_activations, normalised_block
from esamp.kernels.grouped_mlp_update import grouped_normalised_update
from esamp.llm import FrozenLLM

if TYPE_CHECKING:
    from esamp.kernels.grouped_mlp.triton import Activations
    from esamp.kernels.grouped_mlp_update.verdict import Books

__all__ = ["LowRankDistiller"]


@final
@distillers.register("low_rank")
class LowRankDistiller(FusedDistiller):
    """ĥᴸ = s ⊙ LN(x + W_out (SiLU(W_gate x) ⊙ W_up x)) + b with x = RMSNorm(h¹), of width d → rank → d.

    The form of the paper's released engine; a twelfth of the MLP's memory at rank 64 and d = 576.

    `start="llm"` takes the neurons of the LLM's own last MLP. That block is r ← r + W_down (SiLU(W_gate x) ⊙ W_up x)
    with x = γ ⊙ RMSNorm(r), and over RMS(r) it has the form of the bracket above. A neuron (a row of W_gate and of W_up
    and a column of W_down) acts through a product and a non-linearity, so singular vectors of each matrix, which mix
    neurons before those, would compute something else; neurons that are kept whole compute what they did. Kept are the
    `rank` of greatest energy ‖w_down‖² E[(SiLU(w_gate·x) w_up·x)²] under x ~ N(0, 1), in closed form
    (`esamp.functional.gated_energy`, `esamp.llm.GatedMLP.loudest`). The final norm's gain is left out: it would scale
    an error up before anything is learnt.

    Args:
        rank: inner width, at most d.
        lr: Adam's learning rate.
        eps: Adam's eps.
        clip: largest gradient norm of a slot; None: no clipping.
        start: "zero": W_out starts at 0, the prediction as the normalised h¹; "random"; "llm"; or the path of a file
            written by `esamp fit`.
        optimizer: replaces Adam(lr, eps=eps).
        storage: "float32" or "bfloat16".
        seed: of the initial weights.

    Raises:
        ValueError: an argument is out of range; at `setup`, the rank is larger than the width.
    """

    def __init__(
        self,
        rank: int = 64,
        lr: float = 1e-3,
        eps: float = 1e-8,
        clip: float | None = 0.5,
        start: str = "zero",
        optimizer: GroupedOptimizer | None = None,
        storage: str = "float32",
        seed: int = 0,
    ) -> None:
        super().__init__(Adam(lr=lr, eps=eps) if optimizer is None else optimizer, clip, seed, storage)
        self.rank: int = check_integer("rank", rank, low=1)
        self.begin(start, ("zero", "random", "llm"))

    @override
    def init_parameters(self, hidden_size: int, generator: Generator) -> dict[str, Tensor]:
        check_integer("rank", self.rank, low=1, high=hidden_size, hint="a low rank is below the hidden size")
        out = gaussian(self.rank, hidden_size, generator)
        return {
            "gate_up": gaussian(hidden_size, 2 * self.rank, generator),
            "out": out if self.beginning == "random" else torch.zeros_like(out),
            **_plain_output(hidden_size),
        }

    @override
    def parameters_of(self, llm: FrozenLLM) -> dict[str, Tensor]:
        mlp = llm.last_mlp()
        check_integer("rank", self.rank, low=1, high=mlp.inner, hint="the LLM's last MLP has no more neurons")
        kept = mlp.loudest(self.rank)
        gate_up = torch.cat([kept.gate, kept.up]).T.contiguous()
        return {"gate_up": gate_up, "out": kept.down, **_plain_output(gate_up.shape[0])}

    @override
    def predict(self, weights: Weights, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        names = ("gate_up", "out", "scale", "bias")
        return normalised_block(shallow, *(weights[name] for name in names))

    @override
    def activate(self, rows: Float[Tensor, "rows d"], layout: RowLayout) -> tuple[Activations, Float[Tensor, "rows d"]]:
        gate_up, out, scale, bias = self.stored()
        return grouped_normalised_block_with_activations(rows, layout.slot, layout.lanes, gate_up, out, scale, bias)

    @override
    def update(
        self,
        activations: Activations,
        deep: Float[Tensor, "rows d"],
        weight: Float[Tensor, " rows"],
        adam: AdamState,
        settings: Float[Tensor, " 7"],
        rounds: Tensor | None,
        books: Books | None,
    ) -> Float[Tensor, " groups"]:
        moments = (adam.first, adam.second, adam.count)
        return grouped_normalised_update(activations, deep, weight, self.stored(), *moments, settings, rounds, books)


def _plain_output(hidden_size: int) -> dict[str, Tensor]:
    return {"scale": torch.ones(hidden_size, device="cpu"), "bias": torch.zeros(hidden_size, device="cpu")}
