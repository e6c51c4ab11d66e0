"""Everything that a distiller trained by backpropagation has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor
from typing_extensions import override

from esamp.checks import check_choice, check_integer, check_number
from esamp.distillers.base import Distiller, living_mean
from esamp.distillers.initial import Given, check_start
from esamp.distillers.optimizers import GroupedOptimizer
from esamp.distillers.optimizers.base import per_slot
from esamp.distillers.recall import Recall
from esamp.distillers.start_file import read_start
from esamp.distillers.storage import stochastic_round
from esamp.functional import surely_all
from esamp.llm import FrozenLLM

__all__ = ["GradientDistiller", "Weights"]

Weights = Mapping[str, Float[Tensor, "groups ..."]]


@dataclass(frozen=True)
class _Attempt:
    """A prediction whose gradient may be asked for: leaves of its graph, and what came out."""

    leaves: dict[str, Tensor]
    predicted: Float[Tensor, "groups rows d"]


class GradientDistiller(Distiller):
    """Gives `setup`, `forward`, `learn` and `reset` to an architecture that says how it starts and how it predicts.

    A subclass writes two pure functions: `init_parameters`, for *one* group, and `predict`, from [groups, ...] weights
    that go by the same names.

    Args:
        optimizer: steps the weights; its state is per slot.
        clip: largest norm of a slot's gradient over all its weights; None: no clipping.
        seed: of the initial weights, which are the same in every slot.
        storage: "bfloat16" halves the weights' memory: steps are computed in float32 and rounded stochastically.

    Raises:
        ValueError: an argument is out of range.
    """

    _rounds: Tensor

    def __init__(
        self, optimizer: GroupedOptimizer, clip: float | None = 0.5, seed: int = 0, storage: str = "float32"
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.clip: float | None = None if clip is None else check_number("clip", clip, low=0, low_open=True)
        self.seed: int = check_integer("seed", seed, low=0)
        self.storage: str = check_choice("storage", storage, ("float32", "bfloat16"))
        self.beginning: str = ""
        self._given: Given | None = None
        self._names: list[str] = []
        self._attempts: Recall[_Attempt] = Recall()

    @abstractmethod
    def init_parameters(self, hidden_size: int, generator: Generator) -> dict[str, Tensor]:
        """Initial weights of one group, without the group axis, on the CPU.

        Raises:
            ValueError: the architecture's sizes do not fit d = `hidden_size`.
        """

    @abstractmethod
    def predict(self, weights: Weights, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        """ĥᴸ from these weights: a pure, differentiable function."""

    def parameters_of(self, llm: FrozenLLM) -> dict[str, Tensor]:
        """Initial weights of one group made from the LLM's own, for distillers that know `start="llm"`.

        Raises:
            ValueError: the LLM's weights cannot be read, or do not fit.
        """
        raise ValueError(f"{type(self).__name__} cannot start from the LLM's own weights; it has no parameters_of")

    def begin(self, start: str, names: Collection[str]) -> None:
        """Take a constructor's `start`: one of `names`, or a file. To be called when all sizes are known.

        Raises:
            ValueError: it is neither, or the file does not hold weights of this distiller.
        """
        self.beginning = check_start(start, names)
        if self.beginning not in names:
            self.load(self.beginning)

    @override
    def load(self, path: str | Path) -> GradientDistiller:
        file = read_start(path)
        file.check_fits(self, self.init_parameters(file.hidden_size, self._generator()))
        self.beginning = str(path)
        self._given = Given(file.weights, file.hidden_size, f"{str(path)!r} (trained on {file.model})")
        return self

    @override
    def bind(self, llm: FrozenLLM) -> None:
        if self.beginning == "llm":
            self._given = Given(self.parameters_of(llm), llm.head.weight.shape[1], "the LLM it was bound to")

    def start_parameters(self, hidden_size: int) -> dict[str, Tensor]:
        """What every slot starts from, without the group axis, on the CPU: weights that were given, or initial ones.

        Raises:
            RuntimeError: the LLM's weights were asked for and `bind` was not called.
            ValueError: the weights, or the distiller's sizes, do not fit d = `hidden_size`.
        """
        if self._given is not None:
            return self._given.at(hidden_size)
        if self.beginning == "llm":
            raise RuntimeError(f"{type(self).__name__} was set up before bind, which gives it the LLM's weights")
        return self.init_parameters(hidden_size, self._generator())

    @override
    def setup(self, hidden_size: int, groups: int, device: torch.device | str = "cpu") -> None:
        if self._given is None and torch.device(device).type == "meta":
            # Sizes only, which `memory` asks for before `bind`.
            start = self.init_parameters(hidden_size, self._generator())
        else:
            start = self.start_parameters(hidden_size)
        self._names = list(start)
        dtype: torch.dtype = getattr(torch, self.storage)
        for name, value in start.items():
            self.register_buffer(f"start_{name}", value.to(device, dtype))
            self.register_buffer(f"weight_{name}", self.start(name).expand(groups, *value.shape).clone())
        self.register_buffer("_rounds", torch.zeros(groups, dtype=torch.int32, device=device))
        self.optimizer.setup(self.stored())

    def start(self, name: str) -> Tensor:
        """The initial value of a weight, without the group axis."""
        return self.get_buffer(f"start_{name}")

    def starts(self) -> list[Tensor]:
        """The initial values of all weights, in their order and as they are stored."""
        return [self.start(name) for name in self._names]

    def weights(self) -> dict[str, Tensor]:
        """The weights in float32, [groups, ...]; the stored tensors themselves where that is how they are stored."""
        return {name: weight.float() for name, weight in zip(self._names, self.stored(), strict=True)}

    def stored(self) -> list[Tensor]:
        """The weights as they are stored."""
        return [self.get_buffer(f"weight_{name}") for name in self._names]

    @override
    def forward(self, shallow: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows d"]:
        if torch.is_grad_enabled() or torch.is_inference_mode_enabled():
            return self.predict(self.weights(), shallow)
        # The caller wants no graph; the step that learns from these rows does.
        given = (shallow, *self.stored())
        if (attempt := self._attempts.find(*given)) is None:
            attempt = self._attempt(shallow)
            self._attempts.keep(attempt, *given)
        return attempt.predicted.detach()

    @override
    def learn(
        self,
        shallow: Float[Tensor, "groups rows d"],
        deep: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
    ) -> Float[Tensor, " groups"]:
        return self.descend(shallow, weight, lambda predicted: (predicted - deep).square().mean(dim=-1))

    def descend(
        self,
        shallow: Float[Tensor, "groups rows d"],
        weight: Float[Tensor, "groups rows"],
        row_loss: Callable[[Float[Tensor, "groups rows d"]], Float[Tensor, "groups rows"]],
    ) -> Float[Tensor, " groups"]:
        """One optimiser step on the weighted mean of `row_loss(predicted)` in each group; returns that mean."""
        attempt = self._attempts.find(shallow, *self.stored()) or self._attempt(shallow)
        # Whatever raises from here on, a graph serves once.
        self._attempts.forget()
        leaves = list(attempt.leaves.values())
        with torch.enable_grad():
            loss = living_mean(row_loss(attempt.predicted), weight)
            gradients = torch.autograd.grad(loss.sum(), leaves)
        if self.clip is not None:
            _clip(gradients, self.clip)
        values = [leaf.detach() for leaf in leaves]
        self.optimizer.step(values, gradients, weight.sum(dim=-1) > 0)
        self._store(values)
        return loss.detach()

    @override
    @torch.no_grad()
    def reset(self, mask: Bool[Tensor, " groups"]) -> None:
        for name in self._names:
            weight = self.get_buffer(f"weight_{name}")
            weight.copy_(torch.where(per_slot(mask, weight), self.start(name), weight))
        self._rounds.masked_fill_(mask, 0)
        self.optimizer.reset(mask)

    def _attempt(self, shallow: Tensor) -> _Attempt:
        leaves = {name: value.detach().requires_grad_() for name, value in self.weights().items()}
        with torch.enable_grad():
            return _Attempt(leaves, self.predict(leaves, shallow))

    def _generator(self) -> Generator:
        return torch.Generator("cpu").manual_seed(self.seed)

    @torch.no_grad()
    def _store(self, values: list[Tensor]) -> None:
        """Round the stepped weights to their storage; in float32 they were stepped where they stand."""
        if self.storage == "float32":
            return
        self._rounds += 1
        for name, value in zip(self._names, values, strict=True):
            self.get_buffer(f"weight_{name}").copy_(stochastic_round(value, self._rounds))


def _clip(gradients: tuple[Tensor, ...], limit: float) -> None:
    """Scale each slot's gradients in place so that their joint norm is at most `limit`; slots never mix."""
    norms = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]
    norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    if surely_all(norm <= limit):
        return
    scale = (limit / norm.clamp_min(torch.finfo(norm.dtype).tiny)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(per_slot(scale, gradient))
