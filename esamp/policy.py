"""What an engine asks of a decoding method, step by step; plain sampling is the simplest answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.candidates import Candidates, Filters, RowFilters, Temperatures
from esamp.draws.base import Drawing
from esamp.kernels.distribution import plain_distribution
from esamp.rows import Rows

__all__ = ["DecodePolicy", "Drawn", "Fused", "PlainPolicy", "UndistilledPolicy"]


@dataclass(frozen=True)
class Drawn:
    """The tokens of one step.

    Attributes:
        tokens: token ids, int64 [rows].
        log_probs: log-probability of each under the distribution it was drawn from.
    """

    tokens: Int[Tensor, " rows"]
    log_probs: Float[Tensor, " rows"]


@dataclass(frozen=True)
class Fused:
    """The distribution of one step, and what may be said of it. Diagnostics stay tensors until someone reads them.

    Attributes:
        candidates: what may be drawn.
        logits: fused logits z' of the candidates, before temperature.
        log_probs: log softmax(z'/T) over the candidates; -inf in empty places.
        error_norm: ‖e‖ = ‖hᴸ - ĥᴸ‖ of each row; NaN where there is no prediction.
        kl: KL(π_new ‖ π_ref) over the candidates, nats.
    """

    candidates: Candidates
    logits: Float[Tensor, "rows candidates"]
    log_probs: Float[Tensor, "rows candidates"]
    error_norm: Float[Tensor, " rows"]
    kl: Float[Tensor, " rows"]

    def draw(self, drawing: Drawing, rows: Rows, place: Int[Tensor, " rows"]) -> Drawn:
        """Draw one token for each row; `place` is that of the row among all of its batch."""
        choice = drawing(self.log_probs, self.candidates, rows, place)
        return Drawn(self.candidates.ids.gather(-1, choice.place.unsqueeze(-1)).squeeze(-1), choice.log_probs)


class DecodePolicy(ABC):
    """One decode step of a sampling method, driven by an engine: begin → fuse → (the engine draws) → learn.

    Data goes one way. The engine calls `begin` as soon as the first layer is done, `fuse` when the logits are there,
    and `learn` once the step's tokens are drawn. What it passes to `learn` may be read until the next `fuse` returns;
    an engine that writes into its own tensors passes copies.
    """

    @abstractmethod
    def begin(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> None:
        """The first layer is done: h¹ of these rows, at the position whose logits will be sampled."""

    @abstractmethod
    def fuse(self, deep: Float[Tensor, "rows d"], reference: Float[Tensor, "rows vocab"]) -> Fused:
        """The head is done: hᴸ and the LLM's logits z of the same rows, to be turned into a distribution."""

    @abstractmethod
    def learn(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None = None,
    ) -> None:
        """The step is over: learn from (h¹, hᴸ) and the drawn tokens of the living rows; None: all rows are alive."""

    @abstractmethod
    def prefill(
        self,
        shallow: Float[Tensor, "rows d"],
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        """Between steps: learn from positions of the prompt, each with the token that follows it; nothing is drawn."""

    @abstractmethod
    def losses(self) -> Float[Tensor, " groups"]:
        """Each group's loss in the last step; NaN where nothing was learnt. Waits until the step is learnt."""

    @abstractmethod
    def resets(self) -> Int[Tensor, " groups"]:
        """How often each group was reset because its loss or prediction was not finite."""

    def exhausted(self) -> Int[Tensor, " groups"]:
        """1 for each group that was given up because memory ran out; none is, where nothing is learnt."""
        return torch.zeros_like(self.resets())


class UndistilledPolicy(DecodePolicy):
    """A policy without a distiller: it sees no prompt, has no loss, and nothing of it is ever reset.

    Args:
        filters: temperature, top-k, top-p, min-p.
        groups: number of groups, for the shape of its diagnostics.

    Examples:
        >>> from esamp.candidates import Filters
        >>> policy: UndistilledPolicy = PlainPolicy(Filters(), groups=2)
        >>> policy.losses(), policy.resets()
        (tensor([nan, nan]), tensor([0, 0]))
    """

    def __init__(self, filters: Filters | RowFilters, groups: int = 1) -> None:
        self.filters: Filters | RowFilters = filters
        self.groups = groups

    @override
    def learn(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None = None,
    ) -> None:
        pass

    @override
    def prefill(
        self,
        shallow: Float[Tensor, "rows d"],
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        rows: Rows,
        alive: Bool[Tensor, " rows"],
    ) -> None:
        pass

    @override
    def losses(self) -> Float[Tensor, " groups"]:
        return torch.full((self.groups,), torch.nan)

    @override
    def resets(self) -> Int[Tensor, " groups"]:
        return torch.zeros(self.groups, dtype=torch.int64)


@final
class PlainPolicy(UndistilledPolicy):
    """Plain sampling from the filtered logits: what every other method is measured against.

    Args:
        filters: temperature, top-k, top-p, min-p.
        groups: number of groups, for the shape of its diagnostics.

    Examples:
        One step of an engine, for two samples of one prompt:

        >>> from esamp.candidates import Filters
        >>> from esamp.draws import GumbelDrawing
        >>> from esamp.rows import Rows
        >>> policy: DecodePolicy = PlainPolicy(Filters(top_k=2))
        >>> rows = Rows.of_prompts(torch.tensor([0]), torch.zeros(1, 2))
        >>> policy.begin(torch.zeros(2, 4), rows)
        >>> fused: Fused = policy.fuse(torch.zeros(2, 4), torch.tensor([[0.0, 1.0, 1.0], [2.0, 0.0, 2.0]]))
        >>> fused.candidates.ids, fused.log_probs.exp()
        (tensor([[1, 2],
                [0, 2]]), tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]]))
        >>> drawn: Drawn = fused.draw(GumbelDrawing(seed=0), rows, place=torch.arange(2))
        >>> drawn.log_probs.exp()
        tensor([0.5000, 0.5000])
    """

    def __init__(self, filters: Filters | RowFilters, groups: int = 1) -> None:
        super().__init__(filters, groups)
        self._temperatures = Temperatures(filters)
        self._temperature: Tensor | None = None
        self._nothing: tuple[Tensor, Tensor] | None = None

    @override
    def begin(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> None:
        self._temperature = self._temperatures.at(rows.step)

    @override
    def fuse(self, deep: Float[Tensor, "rows d"], reference: Float[Tensor, "rows vocab"]) -> Fused:
        temperature = self._temperature
        if temperature is None:
            raise RuntimeError("PlainPolicy.fuse was called before begin; the order of a step is begin, fuse, learn")
        candidates = self.filters.select(reference.float(), temperature)
        log_probs = plain_distribution(candidates.reference, candidates.mask, temperature)
        return Fused(candidates, candidates.reference, log_probs, *self._no_diagnostics(log_probs))

    def _no_diagnostics(self, log_probs: Tensor) -> tuple[Tensor, Tensor]:
        """Error norm and divergence of a step without a prediction: made once for so many rows."""
        if self._nothing is None or len(self._nothing[0]) != len(log_probs):
            self._nothing = log_probs.new_full((len(log_probs),), torch.nan), log_probs.new_zeros(len(log_probs))
        return self._nothing
