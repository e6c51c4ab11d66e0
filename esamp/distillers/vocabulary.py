"""Control: learn in the vocabulary instead of the latent space."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from esamp.distillers.base import Distiller, distillers
from esamp.distillers.gradient import GradientDistiller
from esamp.distillers.low_rank import LowRankDistiller
from esamp.distillers.wrapper import DistillerWrapper
from esamp.functional import kl_divergence
from esamp.head import Head
from esamp.llm import FrozenLLM

__all__ = ["VocabularyDistiller"]


@final
@distillers.register("vocabulary")
class VocabularyDistiller(DistillerWrapper):
    """Any distiller trained by gradients, with the loss KL(softmax(z) ‖ softmax(ẑ)) over the whole vocabulary.

    The paper's comparison of a vocabulary-space distiller with the latent one. Each step projects h and ĥ onto the
    whole vocabulary and back: it is a control, not something to serve. Its loss is in nats.

    Args:
        distiller: the architecture; a `LowRankDistiller` by default.

    Raises:
        TypeError: the distiller is not trained by gradients.
    """

    def __init__(self, distiller: Distiller | None = None) -> None:
        inner = LowRankDistiller() if distiller is None else distillers.build(distiller)
        if not isinstance(inner, GradientDistiller):
            raise TypeError(f"distiller must be a GradientDistiller, got {type(inner).__name__}; its loss is replaced")
        super().__init__(inner)
        self._gradient = [inner]  # in a list, so that the module is not registered twice
        self._head: Head | None = None

    @override
    def bind(self, llm: FrozenLLM) -> None:
        super().bind(llm)
        self._head = llm.head

    @override
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        head = self._head
        if head is None:
            raise RuntimeError("VocabularyDistiller.learn was called before bind, which gives it the LM head")
        with torch.no_grad():
            wanted = head.full(deep.flatten(0, 1)).log_softmax(dim=-1)

        def divergence(predicted: Tensor) -> Tensor:
            got = head.full(predicted.flatten(0, 1)).log_softmax(dim=-1)
            return kl_divergence(wanted, got).view(weight.shape)

        return self._gradient[0].descend(shallow, weight, divergence)
