"""The loop of a search: forward all beams, let the search choose, move caches and texts along."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from esamp.baselines.beams.base import Beams, Choice, SequenceSearch
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loop import Batch
from esamp.engines.huggingface.padding import left_padded
from esamp.engines.huggingface.taps import evaluation_mode
from esamp.result import Sample

__all__ = ["Search"]

_REASONS = ("length", "eos", "stop")
_EOS, _STOP = 1, 2


class Search:
    """One batch of prompts, n beams each.

    Args:
        sampler: decides.
        batch: the prompts.
    """

    def __init__(self, sampler: SequenceSearch, batch: Batch) -> None:
        self.sampler: SequenceSearch = sampler
        self.batch: Batch = batch
        self.engine: HuggingFaceEngine = sampler.engine
        self.prompts: int = len(batch.prompts)
        self.n: int = batch.n
        shape, device = (self.prompts, self.n), self.engine.device
        self.tokens: Tensor = torch.zeros(*shape, batch.max_new_tokens, dtype=torch.int64, device=device)
        self.log_probs: Tensor = torch.zeros(*shape, batch.max_new_tokens, device=device)
        self.reference: Tensor = torch.zeros(*shape, batch.max_new_tokens, device=device)
        self.score = sampler.start(self.n).to(device).repeat(self.prompts, 1)
        self.total = torch.zeros(shape, device=device)
        self.length = torch.zeros(shape, dtype=torch.int64, device=device)
        self.ending = torch.zeros(shape, dtype=torch.int64, device=device)
        self._first = torch.arange(self.prompts, device=device).unsqueeze(1) * self.n

    @torch.no_grad()
    def run(self) -> list[list[Sample]]:
        """The samples of each prompt, best first."""
        with evaluation_mode(self.engine.model):
            ids, mask = left_padded(self.batch.prompts, self.batch.max_new_tokens, self.engine.device)
            logits, cache = self.engine.forward(ids, mask[:, : ids.shape[1]], None)
            rows = torch.arange(self.prompts, device=ids.device).repeat_interleave(self.n)
            logits, mask, length = logits[rows], mask[rows], ids.shape[1]
            cache.reorder_cache(rows)
            for step in range(self.batch.max_new_tokens):
                chosen = self._step(logits.float(), step)
                if step + 1 == self.batch.max_new_tokens or bool((self.ending > 0).all()):
                    break
                length += 1
                logits, cache = self._forward(chosen, mask[:, :length], cache)
        return [self._samples(prompt) for prompt in range(self.prompts)]

    def _step(self, logits: Tensor, step: int) -> Choice:
        reference = logits.log_softmax(dim=-1).view(self.prompts, self.n, -1)
        searched = (logits / self.sampler.temperature).log_softmax(dim=-1).view_as(reference)
        ended = self.ending > 0
        stay = torch.full_like(searched[0, 0], -torch.inf)
        stay[0] = 0.0
        offered = torch.where(ended.unsqueeze(-1), stay, searched)
        beams = Beams(offered, self.score, self.total, self.length, ended, step)
        choice = self.sampler.choose(beams, self.batch.seed)
        at = (torch.arange(self.prompts, device=logits.device).unsqueeze(1), choice.parent)
        for name in ("tokens", "log_probs", "reference", "total", "length", "ending"):
            setattr(self, name, getattr(self, name)[at])
        ended = self.ending > 0
        self.score: Tensor = choice.score
        own = offered[(*at, choice.token)]
        self.total: Tensor = self.total + own
        self.tokens[:, :, step] = choice.token
        self.log_probs[:, :, step] = own
        self.reference[:, :, step] = reference[(*at, choice.token)]
        self.length: Tensor = self.length + (~ended).long()
        self._end(ended, choice.token)
        return choice

    def _end(self, ended: Tensor, token: Tensor) -> None:
        """Which beams end with the token just chosen. A beam that does not exist has ended."""
        eos = torch.tensor(sorted(self.batch.eos), dtype=torch.int64, device=token.device)
        over = torch.isin(token, eos) | (self.score == -torch.inf)
        self.ending: Tensor = torch.where(~ended & over, _EOS, self.ending)
        if self.batch.stop:
            for prompt, beam in (self.ending == 0).nonzero().tolist():
                text = self._text(prompt, beam)
                if any(stop in text for stop in self.batch.stop):
                    self.ending[prompt, beam] = _STOP

    def _forward(self, choice: Choice, mask: Tensor, cache: Any) -> tuple[Tensor, Any]:
        cache.reorder_cache((self._first + choice.parent).flatten())
        return self.engine.forward(choice.token.view(-1, 1), mask, cache)

    def _text(self, prompt: int, beam: int) -> str:
        return self.engine.decode(self.tokens[prompt, beam, : int(self.length[prompt, beam])])

    def _samples(self, prompt: int) -> list[Sample]:
        alive = [beam for beam in range(self.n) if float(self.score[prompt, beam]) > -torch.inf]
        return [self._sample(prompt, beam, index) for index, beam in enumerate(alive)]

    def _sample(self, prompt: int, beam: int, index: int) -> Sample:
        end, text = int(self.length[prompt, beam]), self._text(prompt, beam)
        reason = _REASONS[int(self.ending[prompt, beam])]
        cuts = [text.find(stop) for stop in self.batch.stop if stop in text] if reason == "stop" else []
        nothing = torch.full((end,), torch.nan, device=self.score.device)
        return Sample(
            prompt=self.batch.first_prompt + prompt,
            index=index,
            text=text[: min(cuts)] if cuts else text,
            token_ids=self.tokens[prompt, beam, :end].clone(),
            log_probs=self.log_probs[prompt, beam, :end].clone() if self.sampler.draws else nothing,
            reference_log_probs=self.reference[prompt, beam, :end].clone(),
            novelty=nothing,
            kl=nothing,
            candidates=torch.full((end,), self.engine.head.vocabulary, device=self.score.device),
            finish_reason=reason,
        )
