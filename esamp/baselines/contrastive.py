"""Contrastive decoding with a given amateur model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from esamp.baselines.base import PolicySampler
from esamp.candidates import Candidates, Filters
from esamp.checks import check_number
from esamp.draws import TokenDraw
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loading import load
from esamp.engines.huggingface.loop import Batch
from esamp.engines.huggingface.padding import left_padded
from esamp.engines.huggingface.taps import evaluation_mode
from esamp.functional import kl_divergence, masked_log_softmax
from esamp.generation.request import Request
from esamp.generation.run import Method
from esamp.policy import DecodePolicy, Fused, UndistilledPolicy
from esamp.rows import Rows
from esamp.samplers import samplers

__all__ = ["ContrastiveSampler"]


@final
@samplers.register("contrastive")
class ContrastiveSampler(PolicySampler):
    """Contrastive decoding (Li et al., arXiv 2210.15097): s = a log p - b log q on the tokens with p ≥ α max p.

    p is the model's at temperature 1, q the amateur's at `amateur_temperature`; the draw is from softmax(s / T). The
    paper has a = b = 1 and searches with beams; here it is sampled. O'Brien & Lewis (arXiv 2309.09117) have a = 1 + b:
    ESamp's own mix, with the amateur in the distiller's place. Filters, where they are given, act on p first.

    Args:
        model: the expert: any decoder-only transformers model.
        tokenizer: its tokenizer.
        amateur: a weaker model of the same vocabulary, or its name or folder.
        expert_weight: a > 0.
        amateur_weight: b >= 0.
        alpha: α in [0, 1).
        amateur_temperature: of q.
        draw: how tokens are drawn.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, a model cannot be decoded, or the vocabularies differ.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        amateur: nn.Module | str | Path,
        expert_weight: float = 1.0,
        amateur_weight: float = 1.0,
        alpha: float = 0.1,
        amateur_temperature: float = 1.0,
        draw: TokenDraw | type[TokenDraw] | str = "gumbel",
    ) -> None:
        super().__init__(model, tokenizer, draw=draw)
        self.expert_weight: float = check_number("expert_weight", expert_weight, low=0, low_open=True)
        self.amateur_weight: float = check_number("amateur_weight", amateur_weight, low=0)
        self.alpha: float = check_number("alpha", alpha, low=0, high=1, high_open=True)
        self.amateur_temperature: float = check_number("amateur_temperature", amateur_temperature, low=0, low_open=True)
        loaded = load(amateur, device=self.engine.device)[0] if isinstance(amateur, str | Path) else amateur
        self.amateur: HuggingFaceEngine = HuggingFaceEngine(loaded, tokenizer)
        if self.amateur.head.vocabulary != self.engine.head.vocabulary:
            raise ValueError(
                f"amateur must have the model's vocabulary of {self.engine.head.vocabulary} tokens, got one of "
                f"{self.amateur.head.vocabulary}; use a model of the same family"
            )

    @override
    def method(self) -> Method:
        return _Contrast(self)

    @override
    def settings(self) -> dict[str, Any]:
        names = ("expert_weight", "amateur_weight", "alpha", "amateur_temperature")
        return {name: getattr(self, name) for name in names} | {"amateur": self.amateur.model.config.name_or_path}

    @override
    def stages(self, filters: Filters) -> Sequence[str]:
        a, b = self.expert_weight, self.amateur_weight
        return [
            f"candidates: {filters.describe()}, of them those with p >= {self.alpha:g} max p",
            f"contrast: {a:g} log p - {b:g} log q, q of {type(self.amateur.model).__name__}",
            f"draw: {type(self.draw).__name__} from softmax(contrast / temperature)",
        ]


@final
class _Contrast(Method):
    def __init__(self, recipe: ContrastiveSampler) -> None:
        self.recipe = recipe
        self._filters = Filters()

    @override
    def prepare(self, request: Request) -> None:
        self._filters = request.filters
        for waves in request.batches():
            lengths = {len(ids) for ids in waves[0].prompts}
            if len(lengths) > 1 and not self.recipe.amateur.pads_left:
                raise ValueError(
                    f"prompts of one batch must be of one length for the amateur, got {sorted(lengths)} tokens, since "
                    "it gives other logits beside padding; pass batch_size=1"
                )

    @override
    def policy(self, batch: Batch) -> DecodePolicy:
        return _ContrastPolicy(self.recipe, self._filters, batch)


@dataclass(frozen=True)
class _Step:
    rows: Rows
    temperature: Float[Tensor, "rows 1"]
    seat: Int[Tensor, " rows"]


@final
class _ContrastPolicy(UndistilledPolicy):
    """Decodes the amateur beside the expert: the same tokens, its rows known by their seats (prompt, sample)."""

    def __init__(self, recipe: ContrastiveSampler, filters: Filters, batch: Batch) -> None:
        super().__init__(filters, batch.groups)
        self.recipe = recipe
        self.batch = batch
        self._cache: Any = None
        self._length = max(len(ids) for ids in batch.prompts)
        self._mask: Tensor = torch.empty(0)
        self._step: _Step | None = None
        self._seats: Tensor = torch.empty(0)
        self._tokens: Tensor = torch.empty(0)

    @override
    def begin(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> None:
        self._step = _Step(rows, self.filters.temperatures(rows.step), rows.slot * self.batch.n + rows.lane)

    @override
    @torch.no_grad()
    def fuse(self, deep: Float[Tensor, "rows d"], reference: Float[Tensor, "rows vocab"]) -> Fused:
        step, reference = self._current("fuse"), reference.float()
        recipe = self.recipe
        with evaluation_mode(recipe.amateur.model):
            amateur = self._prefill(step) if self._cache is None else self._follow(step)
        log_q = (amateur.float() / recipe.amateur_temperature).log_softmax(dim=-1)
        log_p = reference.log_softmax(dim=-1)
        # What is not plausible is forbidden; the largest is always plausible.
        plausible = log_p.exp() >= recipe.alpha * log_p.exp().amax(dim=-1, keepdim=True)
        chosen = self.filters.select(reference.masked_fill(~plausible, -torch.inf), step.temperature)
        # An amateur that is sure may give -inf; such a token is as good as any that it hardly knows.
        against = log_q.gather(-1, chosen.ids).clamp_min(torch.finfo(torch.float32).min / 4)
        contrast = recipe.expert_weight * chosen.reference - recipe.amateur_weight * against
        log_probs = masked_log_softmax(contrast / step.temperature, chosen.mask)
        plain = masked_log_softmax(chosen.reference / step.temperature, chosen.mask)
        nan = torch.full_like(log_probs[:, 0], torch.nan)
        candidates = Candidates(chosen.ids, chosen.reference, chosen.mask, chosen.whole_vocabulary)
        return Fused(candidates, contrast, log_probs, nan, kl_divergence(log_probs, plain))

    def _prefill(self, step: _Step) -> Tensor:
        """The prompts, once each, then a row for each sample."""
        ids, self._mask = left_padded(self.batch.prompts, self.batch.max_new_tokens, step.seat.device)
        logits, self._cache = self.recipe.amateur.forward(ids, self._mask[:, : self._length], None)
        self._keep(step.rows.slot)
        return logits[step.rows.slot]

    def _follow(self, step: _Step) -> Tensor:
        """The tokens drawn last, of the rows that have not left."""
        place = (self._seats.unsqueeze(0) == step.seat.unsqueeze(1)).long().argmax(dim=1)
        if len(place) < len(self._seats):
            self._keep(place)
        self._length += 1
        tokens = self._tokens[place].unsqueeze(-1)
        logits, self._cache = self.recipe.amateur.forward(tokens, self._mask[:, : self._length], self._cache)
        return logits

    def _keep(self, rows: Tensor) -> None:
        self._mask = self._mask[rows]
        self._cache.reorder_cache(rows)

    @override
    def learn(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None = None,
    ) -> None:
        self._seats, self._tokens = self._current("learn").seat, tokens
        self._step = None

    def _current(self, call: str) -> _Step:
        if self._step is None:
            raise RuntimeError(f"{call} was called before begin; the order of a step is begin, fuse, learn")
        return self._step
