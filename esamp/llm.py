"""What a distiller may see of the LLM: its frozen weights, without a word about the engine that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from esamp.functional.gated import gated_energy
from esamp.head import Head

__all__ = ["FrozenLLM", "GatedMLP", "Neurons"]


@dataclass(frozen=True)
class Neurons:
    """Some neurons of a gated MLP: y = (SiLU(x Gᵀ) ⊙ (x Uᵀ)) D, x of root mean square 1; float32.

    Attributes:
        gate: G, [neurons, d].
        up: U, [neurons, d].
        down: D, [neurons, d].

    Examples:
        >>> eye, down = torch.eye(4), torch.diag(torch.tensor([1.0, 3.0, 2.0, 0.0]))
        >>> mlp = GatedMLP(gate=eye, up=eye, down=down, gain=torch.ones(4), stream=1.0)
        >>> neurons: Neurons = mlp.loudest(2)
        >>> neurons.down
        tensor([[0., 3., 0., 0.],
                [0., 0., 2., 0.]])
    """

    gate: Float[Tensor, "neurons d"]
    up: Float[Tensor, "neurons d"]
    down: Float[Tensor, "neurons d"]


@dataclass(frozen=True)
class GatedMLP:
    """r ← r + W_down (σ(W_gate x) ⊙ W_up x) with x = gain ⊙ r / RMS(r), σ(t) = SiLU(sharpness · t) / sharpness.

    Attributes:
        gate: W_gate, [inner, d], in the model's dtype; the model's own tensor, not a copy.
        up: W_up, [inner, d].
        down: W_down, [d, inner].
        gain: of the normalisation before it, [d].
        stream: RMS(r) at ordinary positions, over what a normalisation after the MLP (Gemma 2) multiplies by.
        sharpness: 1 for SiLU, 1.702 for GELU, which that makes out of SiLU to within 0.02.
    """

    gate: Float[Tensor, "inner d"]
    up: Float[Tensor, "inner d"]
    down: Float[Tensor, "d inner"]
    gain: Float[Tensor, " d"]
    stream: float
    sharpness: float = 1.0

    @property
    def inner(self) -> int:
        """Number of neurons."""
        return self.gate.shape[0]

    @torch.no_grad()
    def loudest(self, count: int) -> Neurons:
        """The `count` neurons that move a normalised stream most, on the CPU, and by how much they do.

        Dividing the block by RMS(r) leaves r / RMS(r) + W_down (...) / RMS(r), so gain and sharpness are folded into
        the gates and ups and 1 / RMS(r) into the downs. Neuron j adds φ_j(x) w_j with φ_j = SiLU(g_j·x) (u_j·x). Where
        the φ_j of different neurons are uncorrelated, leaving out a set of them errs by Σ ‖w_j‖² E[φ_j²] in the mean
        square: the neurons of greatest energy are the best ones to keep.
        """
        gain = self.gain.float()
        gate, up = (self.gate.float() * gain) * self.sharpness, self.up.float() * gain
        down = self.down.float().T / (self.sharpness * self.stream)
        kept = gated_energy(gate, up, down).topk(count).indices
        return Neurons(gate[kept].cpu(), up[kept].cpu(), down[kept].cpu())


def _unread() -> GatedMLP:
    raise ValueError("this engine does not read the last MLP of its model")


def _no_norm() -> Callable[[Tensor], Tensor]:
    raise ValueError("this engine does not read the final norm of its model")


@dataclass(frozen=True)
class FrozenLLM:
    """The LLM's frozen weights, as far as distillers have a use for them.

    Attributes:
        head: the LM head.
        last_mlp: reads the gated MLP of the last decoder layer when a distiller asks for it; raises a ValueError that
            says why where there is none that can be read.
        final_norm: reads what stands between the last decoder layer and the head, a function of hidden states [..., d];
            raises a ValueError that says why where there is none that can be read.

    Examples:
        >>> from esamp.head import Head
        >>> llm = FrozenLLM(Head(torch.eye(4)))
        >>> llm.head.vocabulary
        4
        >>> llm.last_mlp()
        Traceback (most recent call last):
            ...
        ValueError: this engine does not read the last MLP of its model
    """

    head: Head
    last_mlp: Callable[[], GatedMLP] = _unread
    final_norm: Callable[[], Callable[[Tensor], Tensor]] = _no_norm
