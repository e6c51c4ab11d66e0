"""OverRIDE: each sample steps away from what a small head has learnt of the sample before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from esamp.baselines.base import PolicySampler
from esamp.baselines.reweighting_heads import ReweightingHeads
from esamp.candidates import Candidates, Filters
from esamp.checks import check_integer, check_number
from esamp.draws import TokenDraw
from esamp.engines.huggingface.loop import Batch
from esamp.functional import kl_divergence, masked_log_softmax
from esamp.generation.request import Request
from esamp.generation.run import Method
from esamp.policy import DecodePolicy, Fused, UndistilledPolicy
from esamp.rows import Rows
from esamp.samplers import samplers

__all__ = ["OverrideSampler"]


@final
@samplers.register("override")
class OverrideSampler(PolicySampler):
    """OverRIDE ("Diverse Text Decoding via Iterative Reweighting", ICLR 2026): sample i from softmax(z - λ Δᵢ₋₁(hᴸ)).

    Δᵢ = Bᵢ Aᵢ hᴸ is a head of low rank over the vocabulary, one for each sample, and head i learns online, by Adam, to
    predict what sample i draws: its loss is the cross-entropy of softmax(z + Δᵢ) on the drawn token. A starts from
    N(0, 0.02²), B from 0. The reweighted logits then go through temperature and filters. The first sample is plain.

    Where this differs from the authors' released code, or settles what a summary of the paper leaves open:
    - a prompt's heads are its own and new for every call, where that code shares them over all prompts and calls;
    - a head's target is the token that was drawn; that code takes the argmax of the reweighted logits;
    - samples follow each other, each head complete before the next sample begins (n waves). `waves=1` decodes them side
      by side, as that code does: head i - 1 then has learnt from the same number of tokens only;
    - λ = 0.8, rank 16 and learning rate 1e-3 are the paper's as we know them; its 10 heads are n = 10 samples. Here it
      is one for each of n. The defaults in the released code have another λ: sweep it.

    Args:
        model: any decoder-only transformers model.
        tokenizer: its tokenizer.
        strength: λ >= 0; 0 is plain sampling.
        rank: of the heads.
        lr: Adam's learning rate.
        draw: how tokens are drawn.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or the model cannot be decoded.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        strength: float = 0.8,
        rank: int = 16,
        lr: float = 1e-3,
        draw: TokenDraw | type[TokenDraw] | str = "gumbel",
    ) -> None:
        super().__init__(model, tokenizer, draw=draw)
        self.strength: float = check_number("strength", strength, low=0)
        self.rank: int = check_integer("rank", rank, low=1)
        self.lr: float = check_number("lr", lr, low=0)

    @override
    def method(self) -> Method:
        return _Override(self)

    @override
    def settings(self) -> dict[str, Any]:
        return {"strength": self.strength, "rank": self.rank, "lr": self.lr}

    @override
    def waves(self, n: int) -> int:
        return n

    @override
    def stages(self, filters: Filters) -> Sequence[str]:
        return [
            f"reweight: z - {self.strength:g} B A h of the sample before, rank {self.rank}",
            f"candidates: {filters.describe()} of the reweighted logits",
            f"draw: {type(self.draw).__name__}",
            "learn: one step of Adam on the sample's own head, by the drawn token",
        ]


@dataclass(frozen=True)
class _Wave:
    """The heads of a wave: of each prompt the last one of the wave before, then one for each of its samples."""

    heads: ReweightingHeads
    each: int
    batch: Batch

    def last(self) -> Tensor:
        """Where each prompt's last head is."""
        counts = self.batch.counts
        return torch.arange(len(counts)) * self.each + counts


@final
class _Override(Method):
    """Hands the last head of each prompt on from one wave of a batch to the next."""

    def __init__(self, recipe: OverrideSampler) -> None:
        self.recipe = recipe
        self._filters = Filters()
        self._wave: _Wave | None = None

    @override
    def prepare(self, request: Request) -> None:
        self._filters = request.filters

    @override
    def policy(self, batch: Batch) -> DecodePolicy:
        recipe, before, each = self.recipe, self._wave, batch.n + 1
        weight, prompts = recipe.engine.head.weight, len(batch.prompts)
        vocabulary, hidden_size = weight.shape
        heads = ReweightingHeads(prompts * each, vocabulary, hidden_size, recipe.rank, recipe.lr, weight.device)
        if before is not None and before.batch.first_prompt == batch.first_prompt:
            heads.take(before.heads, torch.arange(prompts) * each, before.last())
        self._wave = _Wave(heads, each, batch)
        return _OverridePolicy(heads, each, recipe.strength, self._filters, batch.groups)


@dataclass(frozen=True)
class _Step:
    """What `begin` and `fuse` leave for the rest of the step; `at` is where each row's sample's predecessor is."""

    rows: Rows
    temperature: Float[Tensor, "rows 1"]
    at: Int[Tensor, " rows"]
    reference: Float[Tensor, "rows vocab"] | None = None


@final
class _OverridePolicy(UndistilledPolicy):
    """Reads head i - 1 and teaches head i; heads lie as [prompts, each]."""

    def __init__(self, heads: ReweightingHeads, each: int, strength: float, filters: Filters, groups: int) -> None:
        super().__init__(filters, groups)
        self.heads = heads
        self.each = each
        self.strength = strength
        self._step: _Step | None = None
        self._losses = torch.full((groups,), torch.nan)

    @override
    def begin(self, shallow: Float[Tensor, "rows d"], rows: Rows) -> None:
        self._step = _Step(rows, self.filters.temperatures(rows.step), rows.slot * self.each + rows.lane)

    @override
    def fuse(self, deep: Float[Tensor, "rows d"], reference: Float[Tensor, "rows vocab"]) -> Fused:
        step, reference = self._current("fuse"), reference.float()
        delta = self.heads(self._spread(deep.float(), step.at))[step.at]
        self._step = replace(step, reference=reference)
        # -inf - λ Δ stays -inf: what the model forbids stays forbidden.
        chosen = self.filters.select(reference - self.strength * delta, step.temperature)
        before = reference.gather(-1, chosen.ids)
        log_probs = masked_log_softmax(chosen.reference / step.temperature, chosen.mask)
        plain = masked_log_softmax(before / step.temperature, chosen.mask)
        candidates = Candidates(chosen.ids, before, chosen.mask, chosen.whole_vocabulary)
        nan = torch.full_like(log_probs[:, 0], torch.nan)
        return Fused(candidates, chosen.reference, log_probs, nan, kl_divergence(log_probs, plain))

    @override
    def learn(
        self,
        deep: Float[Tensor, "rows d"],
        tokens: Int[Tensor, " rows"],
        alive: Bool[Tensor, " rows"] | None = None,
    ) -> None:
        step = self._current("learn")
        if step.reference is None:
            raise RuntimeError("OverrideSampler's policy learns after fuse; the order of a step is begin, fuse, learn")
        self._step = None
        own = step.at + 1
        living = torch.ones_like(own) if alive is None else alive.to(own.dtype)
        losses = self.heads.learn(
            self._spread(deep.float(), own),
            self._spread(step.reference, own),
            self._spread(tokens, own),
            self._spread(living, own) > 0,
        )
        self._losses = losses.view(self.groups, self.each).nanmean(dim=-1)

    @override
    def losses(self) -> Float[Tensor, " groups"]:
        return self._losses

    def _spread(self, values: Tensor, at: Tensor) -> Tensor:
        """Values of rows, each where its head is; zeros elsewhere."""
        spread = values.new_zeros(self.groups * self.each, *values.shape[1:])
        return spread.index_copy_(0, at, values)

    def _current(self, call: str) -> _Step:
        if self._step is None:
            raise RuntimeError(f"{call} was called before begin; the order of a step is begin, fuse, learn")
        return self._step
