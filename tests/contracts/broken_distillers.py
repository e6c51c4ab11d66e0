"""Distillers that break one promise each. `Sound` is what they would be without the mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from esamp.distillers import GradientDistiller
from esamp.distillers.optimizers import Adam


class Sound(GradientDistiller):
    """A linear map for each group: the least that a third-party distiller has to write."""

    def __init__(self) -> None:
        super().__init__(Adam(lr=1e-2), clip=0.5, seed=0)

    def init_parameters(self, hidden_size: int, generator: Generator) -> dict[str, Tensor]:
        return {"map": torch.randn(hidden_size, hidden_size, generator=generator) * hidden_size**-0.5}

    def predict(self, weights: Mapping[str, Tensor], shallow: Tensor) -> Tensor:
        return torch.bmm(shallow, weights["map"])


class DropsALane(Sound):
    def forward(self, shallow: Tensor) -> Tensor:
        return super().forward(shallow)[:, :-1]


class PredictsInHalf(Sound):
    def forward(self, shallow: Tensor) -> Tensor:
        return super().forward(shallow).half()


class DrawsFromGlobalGenerator(Sound):
    def init_parameters(self, hidden_size: int, generator: Generator) -> dict[str, Tensor]:
        return {"map": torch.randn(hidden_size, hidden_size)}


class KeepsStateOverSetup(Sound):
    def setup(self, hidden_size: int, groups: int, device: Any = "cpu") -> None:
        old = self.weights()["map"][0].clone() if self._names else None
        super().setup(hidden_size, groups, device)
        if old is not None:
            self.weights()["map"].data.copy_(old)


class ReportsLossAfterStep(Sound):
    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        super().learn(shallow, deep, weight)
        errors = (self(shallow) - deep).square().mean(dim=-1) * weight
        return (errors.sum(dim=-1) / weight.sum(dim=-1).clamp_min(1)).detach()


class CountsEmptyPlaces(Sound):
    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        return super().learn(shallow, deep, weight) * weight.sum(dim=-1) / weight.shape[1]


class TreatsLanesDifferently(Sound):
    def predict(self, weights: Mapping[str, Tensor], shallow: Tensor) -> Tensor:
        return super().predict(weights, shallow) * (1 + 0.1 * torch.arange(shallow.shape[1])).unsqueeze(-1)


class HoldsItsGraph(Sound):
    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        return super().learn(shallow, deep, weight) + torch.zeros(1, requires_grad=True)


class OverwritesItsInput(Sound):
    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        loss = super().learn(shallow, deep, weight)
        deep.zero_()
        return loss


class CopiesShallowly(Sound):
    def __deepcopy__(self, memo: Any) -> CopiesShallowly:
        return self


class KeepsDoubleState(Sound):
    def setup(self, hidden_size: int, groups: int, device: Any = "cpu") -> None:
        super().setup(hidden_size, groups, device)
        self.register_buffer("running", torch.zeros(groups, dtype=torch.float64))


class TrainsASharedMap(Sound):
    def setup(self, hidden_size: int, groups: int, device: Any = "cpu") -> None:
        super().setup(hidden_size, groups, device)
        self.register_buffer("shared", torch.zeros(hidden_size))

    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        self.get_buffer("shared").add_(deep.mean(dim=(0, 1)))
        return super().learn(shallow, deep, weight)


class StartsSlotsDifferently(Sound):
    def setup(self, hidden_size: int, groups: int, device: Any = "cpu") -> None:
        super().setup(hidden_size, groups, device)
        self.weights()["map"].data.mul_(1 + torch.arange(groups).view(-1, 1, 1))


class MixesSlots(Sound):
    """The mistake of one attention or normalisation over the wrong axis."""

    def predict(self, weights: Mapping[str, Tensor], shallow: Tensor) -> Tensor:
        return super().predict(weights, shallow) + 1e-2 * shallow.mean(dim=(0, 1))


class SpreadsNaN(Sound):
    """Right for numbers; 0 * NaN is what betrays it."""

    def predict(self, weights: Mapping[str, Tensor], shallow: Tensor) -> Tensor:
        return super().predict(weights, shallow) + 0.0 * shallow.sum()


class DecaysTheDead(Sound):
    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        loss = super().learn(shallow, deep, weight)
        self.weights()["map"].data.mul_(0.99)
        return loss


class LosesOnTheDead(Sound):
    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        return super().learn(shallow, deep, weight) + (weight.sum(dim=-1) == 0)


class KeepsMomentsOverReset(Sound):
    def reset(self, mask: Tensor) -> None:
        self.weights()["map"].data[mask] = self.get_buffer("start_map")


class ResetsByMultiplying(Sound):
    """0 * NaN again: an overflown slot stays broken for ever."""

    def reset(self, mask: Tensor) -> None:
        keep = (~mask).float().view(-1, 1, 1)
        self.weights()["map"].data.mul_(keep).add_((1 - keep) * self.get_buffer("start_map"))
        self.optimizer.reset(mask)


class ResetsEverySlot(Sound):
    def reset(self, mask: Tensor) -> None:
        super().reset(torch.ones_like(mask))


class HidesItsMemory(Sound):
    def memory(self, hidden_size: int) -> int:
        return 1


class TakesZerosForEmpty(Sound):
    """Who counts, it reads off the rows themselves."""

    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        return super().learn(shallow, deep, (shallow != 0).any(dim=-1).float())


class RemembersTooLong(Sound):
    """What it said of a tensor it reports as the loss, however long ago that was."""

    def __init__(self) -> None:
        super().__init__()
        self._known: list[Tensor] = []

    def forward(self, shallow: Tensor) -> Tensor:
        predicted = super().forward(shallow)
        self._known = [shallow, predicted]
        return predicted

    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        loss = super().learn(shallow, deep, weight)
        if self._known and self._known[0] is shallow:
            errors = (self._known[1] - deep).square().mean(dim=-1) * weight
            return errors.sum(dim=-1) / weight.sum(dim=-1).clamp_min(1)
        return loss


class NeverLearns(Sound):
    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        errors = (self(shallow) - deep).square().mean(dim=-1) * weight
        return (errors.sum(dim=-1) / weight.sum(dim=-1).clamp_min(1)).detach()


class Raises(Sound):
    def forward(self, shallow: Tensor) -> Tensor:
        raise RuntimeError("no kernel for this device")


BROKEN: dict[type[Sound], str] = {
    DropsALane: "predictions are float32 and have the shape of what they are made from",
    PredictsInHalf: "predictions are float32",
    DrawsFromGlobalGenerator: "a recipe gives the same distiller each time",
    KeepsStateOverSetup: "setup starts afresh",
    ReportsLossAfterStep: "the loss is the mean squared error of the living rows before the step",
    CountsEmptyPlaces: "the loss is the mean squared error of the living rows",
    TreatsLanesDifferently: "empty places do not count",
    HoldsItsGraph: "it works the same under torch.no_grad, and its losses hold no graph",
    OverwritesItsInput: "what it is given is left as it is",
    CopiesShallowly: "a deep copy is independent",
    KeepsDoubleState: "state is float32",
    TrainsASharedMap: "what does not grow never moves",
    StartsSlotsDifferently: "all slots start equal",
    MixesSlots: "a bank of groups equals as many separate distillers",
    SpreadsNaN: "slots never mix, even when one of them overflows",
    DecaysTheDead: "a group without living rows does not move",
    LosesOnTheDead: "a group without living rows does not move",
    KeepsMomentsOverReset: "a reset slot is as good as new",
    ResetsByMultiplying: "a reset slot is as good as new, whatever it held",
    ResetsEverySlot: "and the others do not notice",
    HidesItsMemory: "memory counts the bytes of a group's state",
    TakesZerosForEmpty: "what stands in empty places of what it learns from does not matter",
    RemembersTooLong: "to have predicted from the tensor it learns from changes nothing",
    NeverLearns: "learning lowers the loss on a constant target",
    Raises: "predictions are float32",
}
"""Each broken distiller, and words of a contract that it breaks."""
