"""Fusions that break one promise each. `Sound` is what they would be without the mistake."""

from __future__ import annotations

import torch
from torch import Tensor

from esamp.functional import beta_mix, masked_log_softmax
from esamp.fusion import FusionStep, LatentWeights, NoveltyFusion


class Sound(NoveltyFusion):
    def __call__(self, step: FusionStep) -> Tensor:
        return self.fuse(step.reference, step.distilled, step.beta, step.mask)

    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return beta_mix(reference, distilled, beta)


class DropsACandidate(Sound):
    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return super().fuse(reference, distilled, beta, mask)[:, :-1]


class GivesDoubles(Sound):
    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return super().fuse(reference, distilled, beta, mask).double()


class WorksInPlace(Sound):
    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return reference.add_(beta.unsqueeze(-1) * (reference - distilled))


class Normalises(Sound):
    """The right distribution, but not the identity at β = 0."""

    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return masked_log_softmax(super().fuse(reference, distilled, beta, mask), mask)


class MixesBetas(Sound):
    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return super().fuse(reference, distilled, beta.mean().expand_as(beta), mask)


class DependsOnConstants(Sound):
    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return reference - beta.unsqueeze(-1) * distilled.clamp_min(0)


class DependsOnPlaces(Sound):
    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        places = torch.arange(reference.shape[1])
        return super().fuse(reference, distilled, beta, mask) + beta.unsqueeze(-1) * places


class MixesRows(Sound):
    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return super().fuse(reference, distilled - distilled.mean(dim=0), beta, mask)


class LooksAtEmptyPlaces(Sound):
    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        size = (reference - distilled).abs().amax(dim=-1, keepdim=True)
        return reference + beta.unsqueeze(-1) * (reference - distilled) / (1 + size)


class DividesByZero(Sound):
    def fuse(self, reference: Tensor, distilled: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        gap = (reference - distilled).masked_fill(~mask, 0.0)
        centre = gap.sum(dim=-1, keepdim=True) / mask.sum(dim=-1, keepdim=True)
        return reference + beta.unsqueeze(-1) * gap / (gap - centre).square().masked_fill(~mask, 0.0).sum(-1, True)


class MisstatesItsWeights(Sound):
    def latent_weights(self, beta: Tensor) -> LatentWeights:
        return LatentWeights(torch.ones_like(beta), beta)


BROKEN: dict[type[Sound], str] = {
    DropsACandidate: "fused logits are float32 and have the shape of the reference",
    GivesDoubles: "fused logits are float32",
    WorksInPlace: "the arguments are left as they are",
    Normalises: "β = 0 is the identity, row by row and to the last bit",
    MixesBetas: "β = 0 is the identity, row by row",
    DependsOnConstants: "a constant added to a row's reference or distilled logits does not change its distribution",
    DependsOnPlaces: "permuting candidates or rows permutes the result",
    MixesRows: "rows never mix",
    LooksAtEmptyPlaces: "empty places do not influence the others",
    DividesByZero: "the result is finite wherever the mask holds",
    MisstatesItsWeights: "latent weights (a, b), where there are any, give the fusion",
}
"""Each broken fusion, and words of a contract that it breaks."""
