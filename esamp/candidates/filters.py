"""From logits to candidates: temperature and the filters decide what may be drawn, nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.candidates.shortlist import by_blocks, by_kernel
from esamp.checks import check_integer, check_number
from esamp.functional.filters import (
    atypical,
    below_epsilon,
    below_eta,
    below_min_p,
    below_n_sigma,
    below_top_k,
    outside_nucleus,
)
from esamp.functional.listing import padded_list
from esamp.kernels.dispatch import uses_triton
from esamp.schedules import Schedule, name_value

__all__ = ["MIN_TEMPERATURE", "Candidates", "FilterOptions", "Filters"]

# Far below any use; logits divided by much less overflow float32, and the draws would silently be NaN.
MIN_TEMPERATURE = 1e-6


@dataclass(frozen=True)
class Candidates:
    """What survives the filters, as a padded list for each row.

    Attributes:
        ids: token ids [rows, candidates], ascending within a row; 0 where the place is empty.
        reference: the LLM's logits z of those tokens, float32, before temperature.
        mask: False where a place is empty.
        whole_vocabulary: the ids of every row are 0, 1, 2, ...: no filter is on.

    Examples:
        >>> kept = Filters(min_p=0.3).select(torch.tensor([[0.0, 2.0, 1.0], [0.0, 0.0, 9.0]]))
        >>> kept.ids, kept.reference, kept.count()
        (tensor([[1, 2],
                [2, 0]]), tensor([[2., 1.],
                [9., 0.]]), tensor([2, 1]))
    """

    ids: Int[Tensor, "rows candidates"]
    reference: Float[Tensor, "rows candidates"]
    mask: Bool[Tensor, "rows candidates"]
    whole_vocabulary: bool = False

    def count(self) -> Int[Tensor, " rows"]:
        """Number of candidates of each row."""
        return self.mask.sum(dim=-1)


class FilterOptions(TypedDict, total=False):
    """The fields of `Filters`, as keyword arguments.

    Examples:
        >>> options = FilterOptions(temperature=MIN_TEMPERATURE, top_k=50)
        >>> Filters(**options).describe()
        'temperature 1e-06, top_k 50'
    """

    temperature: float | Schedule
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    epsilon_cutoff: float | None
    eta_cutoff: float | None
    top_n_sigma: float | None
    filter_temperature: float | None


_UNIT: dict[str, Any] = {"low": 0, "high": 1}
_OFF = "pass None to switch it off"


@dataclass(frozen=True)
class Filters:
    """Temperature, then the filters, in the order of the fields and each as transformers' warper of that name has it.

    Top-nσ, which transformers lacks and which temperature does not change, looks at the whole vocabulary, before all
    others.

    Attributes:
        temperature: T > 0; logits are divided by it. A number, or a schedule over the steps of a sample.
        top_k: keep the k largest (and what ties with the last of them); None: off.
        top_p: keep the smallest set with at least this probability mass, in (0, 1]; None: off.
        min_p: keep what is at least `min_p` times as probable as the most probable token, in [0, 1); None: off.
        typical_p: keep the most typical set with at least this mass, in (0, 1]; None: off.
        epsilon_cutoff: ε, keep what is at least this probable, in [0, 1); None: off.
        eta_cutoff: ε, keep what is at least min(ε, √ε exp(-entropy)) probable, in [0, 1); None: off.
        top_n_sigma: n > 0, keep logits of at least max - n standard deviations; None: off.
        filter_temperature: T' at which the filters look at the logits, whatever T the draw has; None: that of the draw.
            1 makes temperature the last of all, as llama.cpp does, and a hot first token (`esamp.schedules.Fire`) sane.

    Raises:
        TypeError: an argument is not a number.
        ValueError: an argument is out of range.

    Examples:
        >>> Filters(min_p=0.3).select(torch.tensor([[0.0, 2.0, 1.0]])).ids
        tensor([[1, 2]])
    """

    temperature: float | Schedule = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    top_n_sigma: float | None = None
    filter_temperature: float | None = None

    def __post_init__(self) -> None:
        greedy = "for greedy decoding use model.generate(do_sample=False): it has nothing to explore"
        if not callable(self.temperature):
            check_number("temperature", self.temperature, low=MIN_TEMPERATURE, hint=greedy)
        if self.top_k is not None:
            check_integer("top_k", self.top_k, low=1, hint=_OFF)
        for name in ("top_p", "typical_p"):
            self._check(name, low_open=True, **_UNIT)
        for name in ("min_p", "epsilon_cutoff", "eta_cutoff"):
            self._check(name, high_open=True, **_UNIT)
        self._check("top_n_sigma", low=0, low_open=True)
        self._check("filter_temperature", low=MIN_TEMPERATURE)

    def _check(self, name: str, **interval: Any) -> None:
        value = getattr(self, name)
        if value is not None:
            check_number(name, value, hint=_OFF, **interval)

    @property
    def keeps_all(self) -> bool:
        """No filter is on: every token of the vocabulary is a candidate."""
        return next(self._rules(), None) is None

    def describe(self) -> str:
        """The filters that are on, in the order in which they act.

        Examples:
            >>> Filters(temperature=0.7, min_p=0.05, filter_temperature=1.0).describe()
            'min_p 0.05 at temperature 1, then temperature 0.7'
        """
        names = ("top_n_sigma", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
        on = [f"{name} {getattr(self, name):g}" for name in names if getattr(self, name) is not None]
        temperature = "temperature " + ("by schedule" if callable(self.temperature) else f"{self.temperature:g}")
        if self.filter_temperature is None or not on:
            return ", ".join([temperature, *on])
        return f"{', '.join(on)} at temperature {self.filter_temperature:g}, then {temperature}"

    def settings(self) -> dict[str, Any]:
        """The fields as plain values, for the record."""
        return vars(self) | {"temperature": name_value(self.temperature)}

    def _rules(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """The filters that are on, in order: each says of scores what it leaves out."""
        if self.top_n_sigma is not None:
            yield lambda scores: below_n_sigma(scores, self.top_n_sigma or 0.0)
        if self.top_k is not None:
            yield lambda scores: below_top_k(scores, self.top_k or 1)
        if self.top_p is not None and self.top_p < 1.0:
            yield lambda scores: outside_nucleus(scores, self.top_p or 1.0)
        if self.min_p:
            yield lambda scores: below_min_p(scores, self.min_p or 0.0)
        if self.typical_p is not None and self.typical_p < 1.0:
            yield lambda scores: atypical(scores, self.typical_p or 1.0)
        if self.epsilon_cutoff:
            yield lambda scores: below_epsilon(scores, self.epsilon_cutoff or 0.0)
        if self.eta_cutoff:
            yield lambda scores: below_eta(scores, self.eta_cutoff or 0.0)

    def temperatures(self, step: Int[Tensor, " rows"]) -> Float[Tensor, "rows 1"]:
        """T of each row, by the number of tokens it has."""
        values = (
            self.temperature(step)
            if callable(self.temperature)
            else step.new_full(step.shape, self.temperature, dtype=torch.float32)
        )
        return values.to(step.device, torch.float32).unsqueeze(-1)

    def keep(
        self, logits: Float[Tensor, "rows vocab"], temperature: Float[Tensor, "rows 1"] | None = None
    ) -> Bool[Tensor, "rows vocab"]:
        """Which tokens survive, at `temperature` or that of step 0; at least one of each row does."""
        scores = logits / self._filtering(logits, temperature)
        for left_out in self._rules():
            scores = scores.masked_fill(left_out(scores), -torch.inf)
        return scores > -torch.inf

    def select(
        self, logits: Float[Tensor, "rows vocab"], temperature: Float[Tensor, "rows 1"] | None = None
    ) -> Candidates:
        """The candidates of each row, at `temperature` or that of step 0; `logits` are float32, before temperature."""
        if self.keeps_all:
            ids = torch.arange(logits.shape[-1], device=logits.device).expand(logits.shape)
            # What the model itself forbids, with a logit of -inf, no fusion may raise.
            return Candidates(ids, logits, logits > -torch.inf, whole_vocabulary=True)
        heat = self._filtering(logits, temperature)
        if self.min_p and self._min_p_suffices and uses_triton(logits):
            listed = by_kernel(logits, heat, self.min_p, self.top_k, self.top_p)
            if listed is not None:
                return Candidates(*listed)
        shortlist = self._shortlist(logits, heat)
        if shortlist is None:
            row, token = self.keep(logits, temperature).nonzero(as_tuple=True)
        else:
            ids, taken = shortlist
            scores = logits.gather(-1, ids).masked_fill_(~taken, -torch.inf)
            row, place = self.keep(scores, temperature).nonzero(as_tuple=True)
            token = ids[row, place]
        ids, mask = padded_list(row, token, len(logits))
        return Candidates(ids, logits.gather(-1, ids), mask)

    def _shortlist(self, logits: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor] | None:
        """A list of all tokens that may survive and of few others; None where a filter must know the mass of all."""
        nucleus = self.top_p is not None and self.top_p < 1.0
        if not len(logits) or self.top_n_sigma or (self.top_k is None and (nucleus or not self.min_p)):
            return None
        return by_blocks(logits, temperature, None if nucleus else self.min_p, self.top_k)

    @property
    def _min_p_suffices(self) -> bool:
        """The list that min-p leaves is enough to know what the others leave: the kernel's way is open."""
        others = (self.typical_p, self.epsilon_cutoff, self.eta_cutoff, self.top_n_sigma)
        return (self.top_k is None or self.top_p is None) and not any(others)

    def _filtering(self, logits: Tensor, temperature: Tensor | None) -> Tensor:
        """The temperature at which the filters look at each row."""
        if self.filter_temperature is not None:
            return logits.new_full((len(logits), 1), self.filter_temperature)
        if temperature is not None:
            return temperature
        return self.temperatures(torch.zeros(len(logits), dtype=torch.int64, device=logits.device))
