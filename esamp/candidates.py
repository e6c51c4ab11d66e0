"""From logits to candidates: temperature, top-k, top-p and min-p decide what may be drawn, nothing else does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.checks import check_integer, check_number
from esamp.kernels.candidate_filter import min_p_candidates, narrow
from esamp.kernels.dispatch import uses_triton
from esamp.schedules import Schedule

__all__ = ["MIN_TEMPERATURE", "Candidates", "Filters"]

# Far below any use; logits divided by much less overflow float32, and the draws would silently be NaN.
MIN_TEMPERATURE = 1e-6

# Places of the list that the kernel fills; longer ones, which min-p hardly ever leaves, take the general way.
_LISTED = 512

# Tokens that are passed over together, and how far below its threshold the search for them starts, relative.
_BLOCK = 64
_SLACK = 1e-4


@dataclass(frozen=True)
class Candidates:
    """What survives the filters, as a padded list for each row.

    Attributes:
        ids: token ids [rows, candidates], ascending within a row; 0 where the place is empty.
        reference: the LLM's logits z of those tokens, float32, before temperature.
        mask: False where a place is empty.
        whole_vocabulary: the ids of every row are 0, 1, 2, ...: no filter is on.
    """

    ids: Int[Tensor, "rows candidates"]
    reference: Float[Tensor, "rows candidates"]
    mask: Bool[Tensor, "rows candidates"]
    whole_vocabulary: bool = False

    def count(self) -> Int[Tensor, " rows"]:
        """Number of candidates of each row."""
        return self.mask.sum(dim=-1)


@dataclass(frozen=True)
class Filters:
    """Temperature, then top-k, top-p and min-p, in that order and each as transformers' warper of that name defines it.

    Attributes:
        temperature: T > 0; logits are divided by it. A number, or a schedule over the steps of a sample.
        top_k: keep the k largest (and what ties with the last of them); None: off.
        top_p: keep the smallest set with at least this probability mass, in (0, 1]; None: off.
        min_p: keep what is at least `min_p` times as probable as the most probable token, in [0, 1); None: off.

    Raises:
        TypeError: an argument is not a number.
        ValueError: an argument is out of range.

    >>> Filters(min_p=0.3).select(torch.tensor([[0.0, 2.0, 1.0]])).ids
    tensor([[1, 2]])
    """

    temperature: float | Schedule = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        greedy = "for greedy decoding use model.generate(do_sample=False): it has nothing to explore"
        if not callable(self.temperature):
            check_number("temperature", self.temperature, low=MIN_TEMPERATURE, hint=greedy)
        if self.top_k is not None:
            check_integer("top_k", self.top_k, low=1, hint="pass None to switch it off")
        if self.top_p is not None:
            check_number("top_p", self.top_p, low=0, high=1, low_open=True, hint="pass None to switch it off")
        if self.min_p is not None:
            check_number("min_p", self.min_p, low=0, high=1, high_open=True, hint="pass None to switch it off")

    @property
    def keeps_all(self) -> bool:
        """No filter is on: every token of the vocabulary is a candidate."""
        return not (self.top_k or self.min_p or (self.top_p is not None and self.top_p < 1.0))

    def describe(self) -> str:
        """The filters that are on, in their order.

        >>> Filters(temperature=0.7, min_p=0.05).describe()
        'temperature 0.7, min_p 0.05'
        """
        named = {"top_k": self.top_k, "top_p": self.top_p, "min_p": self.min_p}
        temperature = "by schedule" if callable(self.temperature) else f"{self.temperature:g}"
        rest = [f"{name} {value:g}" for name, value in named.items() if value is not None]
        return ", ".join([f"temperature {temperature}", *rest])

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
        scores = logits / self._or_first(logits, temperature)
        if self.top_k is not None:
            k = min(self.top_k, scores.shape[-1])
            scores = scores.masked_fill(scores < scores.topk(k).values[:, -1:], -torch.inf)
        if self.top_p is not None and self.top_p < 1.0:
            scores = scores.masked_fill(_outside_nucleus(scores, self.top_p), -torch.inf)
        if self.min_p:
            probs = scores.softmax(dim=-1)
            scores = scores.masked_fill(probs < self.min_p * probs.amax(dim=-1, keepdim=True), -torch.inf)
        return scores > -torch.inf

    def select(
        self, logits: Float[Tensor, "rows vocab"], temperature: Float[Tensor, "rows 1"] | None = None
    ) -> Candidates:
        """The candidates of each row, at `temperature` or that of step 0; `logits` are float32, before temperature."""
        if self.keeps_all:
            ids = torch.arange(logits.shape[-1], device=logits.device).expand(logits.shape)
            # What the model itself forbids, with a logit of -inf, no fusion may raise.
            return Candidates(ids, logits, logits > -torch.inf, whole_vocabulary=True)
        if self.min_p and (self.top_k is None or self.top_p is None) and uses_triton(logits):
            listed = self._listed(logits, self._or_first(logits, temperature))
            if listed is not None:
                return listed
        shortlist = self._shortlist(logits, self._or_first(logits, temperature))
        if shortlist is None:
            return _listing(self.keep(logits, temperature), logits)
        ids, scores = shortlist
        return _listing(self.keep(scores, temperature), logits, ids)

    def _shortlist(self, logits: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor] | None:
        """Ids and logits of every token that may survive, and of few others, [rows, width]; -inf in empty places.

        Whole blocks of the vocabulary are passed over by their largest logit, so that the vocabulary is read once. What
        survives of the list survives of the vocabulary. None where top-p has to know the mass of all tokens.
        """
        nucleus = self.top_p is not None and self.top_p < 1.0
        if not len(logits) or (self.top_k is None and (nucleus or not self.min_p)):
            return None
        highest = _block_maxima(logits)
        floor = logits.new_full((len(logits), 1), -torch.inf)
        if self.min_p and not nucleus:
            top = highest.amax(dim=-1, keepdim=True)
            # A little lower than the threshold, which `keep` draws exactly.
            floor = top + temperature * math.log(self.min_p) - _SLACK * (temperature + top.abs())
        if self.top_k is not None and self.top_k <= highest.shape[-1]:
            # So many blocks have a token that is at least as high.
            floor = torch.maximum(floor, highest.topk(self.top_k).values[:, -1:])
        row, block = (highest >= floor).nonzero(as_tuple=True)
        ids = (block * _BLOCK).unsqueeze(-1) + torch.arange(_BLOCK, device=block.device)
        inside = ids < logits.shape[-1]
        ids = ids.masked_fill(~inside, 0)
        scores = logits[row.unsqueeze(-1), ids]
        high = inside & (scores >= floor[row])
        row = row.unsqueeze(-1).expand(high.shape)[high]
        listed, empty = _padded(row, ids[high], len(logits))
        return listed, logits.gather(-1, listed).masked_fill_(empty, -torch.inf)

    def _listed(self, logits: Tensor, temperature: Tensor) -> Candidates | None:
        """The candidates by one kernel, from the list that min-p leaves; None where that is too long for it."""
        assert self.min_p is not None
        ids, reference, mask, count, log_mass = min_p_candidates(logits, temperature, self.min_p, _LISTED)
        keep = narrow(reference / temperature, mask, log_mass, self.top_k, self.top_p)
        order = (~keep).to(torch.int8).argsort(dim=-1, stable=True)
        # The two numbers that the host reads, at once: is the list whole, and how wide is it.
        longest, width = torch.stack([count, keep.sum(dim=-1)]).amax(dim=-1).tolist() if len(count) else (0, 0)
        if longest > _LISTED:
            return None
        order = order[:, : max(width, 1) if len(count) else 0]
        kept = keep.gather(-1, order)
        ids = ids.gather(-1, order).masked_fill(~kept, 0)
        return Candidates(ids, logits.gather(-1, ids), kept)

    def _or_first(self, logits: Tensor, temperature: Tensor | None) -> Tensor:
        if temperature is not None:
            return temperature
        return self.temperatures(torch.zeros(len(logits), dtype=torch.int64, device=logits.device))


def _outside_nucleus(scores: Tensor, top_p: float) -> Tensor:
    # Ascending order and a cumulative sum from below, as transformers' TopPLogitsWarper does it: which of two tied
    # tokens stays, and the last bit of the sum, depend on it.
    ordered, order = scores.sort(descending=False)
    outside = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    outside[:, -1] = False
    return outside.scatter(-1, order, outside)


def _block_maxima(logits: Tensor) -> Tensor:
    """Largest logit of each block of the vocabulary, the last of which may be shorter."""
    whole = logits.shape[-1] // _BLOCK * _BLOCK
    blocks = logits[:, :whole].unflatten(-1, (-1, _BLOCK)).amax(dim=-1)
    if whole == logits.shape[-1]:
        return blocks
    return torch.cat([blocks, logits[:, whole:].amax(dim=-1, keepdim=True)], dim=-1)


def _padded(row: Tensor, ids: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Pairs (row, id), ordered by row, as a list [rows, width] padded with 0, and which of its places are empty."""
    count = torch.bincount(row, minlength=rows)
    place = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    # The width of the list is the one number that the host reads in a step.
    width = max(int(count.max()), 1) if rows else 0
    listed = torch.zeros(rows, width, dtype=torch.int64, device=row.device)
    listed[row, place] = ids
    return listed, torch.arange(width, device=row.device) >= count.unsqueeze(-1)


def _listing(keep: Tensor, logits: Tensor, ids: Tensor | None = None) -> Candidates:
    """The candidates where `keep` holds, of the vocabulary or of a list of `ids`."""
    row, token = keep.nonzero(as_tuple=True)
    listed, empty = _padded(row, token if ids is None else ids[row, token], len(logits))
    return Candidates(listed, logits.gather(-1, listed), ~empty)
