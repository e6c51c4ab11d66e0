"""Fusions that break one promise each. `Sound` is what they would be without the mistake."""

from __future__ import annotations

import copy

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


class Remembers(Sound):
    """β by the mean of everything seen in the slot: sound as it stands."""

    def __init__(self) -> None:
        self.seen: Tensor | None = None

    def attach(self, hidden_size, groups, texts, device="cpu"):
        attached = copy.copy(self)
        attached.seen = torch.zeros(groups, device=device)
        return attached

    def __call__(self, step: FusionStep) -> Tensor:
        beta = step.beta if self.seen is None else step.beta * self.seen[step.rows.slot].sigmoid()
        return self.fuse(step.reference, step.distilled, beta, step.mask)

    def observe(self, deep, tokens, rows, alive):
        self.seen = self.seen.index_add(0, rows.slot, deep.mean(dim=-1) * alive)

    def reset(self, mask):
        self.seen = self.seen.masked_fill(mask, 0.0)


class TiltsWhatIsOff(Remembers):
    def __call__(self, step: FusionStep) -> Tensor:
        return super().__call__(step) + (0.0 if self.seen is None else self.seen[step.rows.slot].unsqueeze(-1))


class ListensToOthers(Remembers):
    def observe(self, deep, tokens, rows, alive):
        self.seen = self.seen + deep.mean()


class NeverForgets(Remembers):
    def reset(self, mask):
        pass


class ForgetsEverybody(Remembers):
    def reset(self, mask):
        self.seen = torch.zeros_like(self.seen)


class AttachesToItself(Remembers):
    def attach(self, hidden_size, groups, texts, device="cpu"):
        if self.seen is None:
            self.seen = torch.zeros(groups, device=device)
        return self


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
    TiltsWhatIsOff: "with a memory, too, β = 0 is the identity",
    ListensToOthers: "what one group has said does not influence another",
    NeverForgets: "of a slot that was reset nothing is remembered",
    ForgetsEverybody: "of a slot that was reset nothing is remembered, and of the others everything",
    AttachesToItself: "attach leaves the recipe as it is",
}
"""Each broken fusion, and words of a contract that it breaks."""
