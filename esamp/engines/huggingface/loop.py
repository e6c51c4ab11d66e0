"""The decode loop: prefill each prompt once, expand to n rows, step until every row has left the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from esamp.callbacks.base import StepRecord
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.history import History
from esamp.engines.huggingface.taps import Taps
from esamp.policy import DecodePolicy
from esamp.result import Sample
from esamp.rows import Rows

__all__ = ["Batch", "DecodeLoop"]


@dataclass(frozen=True)
class Batch:
    """What to decode together.

    Attributes:
        prompts: token ids of each prompt.
        first_prompt: index of the first of them among all prompts of the call.
        n: samples of each prompt.
        max_new_tokens: longest sample.
        seed: of the draws.
        stop: strings that end a sample.
        eos: token ids that end a sample.
    """

    prompts: list[list[int]]
    first_prompt: int
    n: int
    max_new_tokens: int
    seed: int
    stop: Sequence[str] = ()
    eos: frozenset[int] = frozenset()


class DecodeLoop:
    """Decodes one batch with one policy: `with loop: while loop.running: loop.step()`.

    Rows that finish leave the batch, their cache too; the rest moves up.
    """

    def __init__(self, engine: HuggingFaceEngine, policy: DecodePolicy, batch: Batch) -> None:
        self.engine = engine
        self.policy = policy
        self.batch = batch
        self.history = History(len(batch.prompts), batch.n, batch.max_new_tokens, engine.device)
        self.rows = Rows.grid(len(batch.prompts), batch.n, engine.device)
        self._place = torch.arange(len(self.rows), device=engine.device)
        self._taps = Taps(engine.model)
        self._step = 0
        self._cache: Any = None

    def __enter__(self) -> DecodeLoop:
        self._was_training = self.engine.model.training
        self.engine.model.eval()
        self._taps.__enter__()
        self._prefill()
        return self

    def __exit__(self, *error: Any) -> None:
        self._taps.__exit__(*error)
        self.engine.model.train(self._was_training)
        self._cache = None

    @property
    def running(self) -> bool:
        """Some row has not finished."""
        return len(self.rows) > 0

    @torch.no_grad()
    def step(self) -> StepRecord:
        """Fuse, draw, learn; then forward what goes on."""
        step, rows, place = self._step, self.rows, self._place
        fused = self.policy.fuse(self._deep, self._logits)
        drawn = fused.draw(self.batch.seed, rows.sample, step)
        self.policy.learn(self._deep, drawn.tokens)
        self.history.write(step, place, fused, drawn, self._logits)
        loss = self.history.loss[:, step] = self.policy.losses()
        reasons = self._finish_reasons(drawn.tokens)
        finished = [self._sample(int(place[i]), reason) for i, reason in enumerate(reasons) if reason]
        self._step += 1
        self._leave([i for i, reason in enumerate(reasons) if not reason])
        if self.running:
            self._forward(drawn.tokens)
        return StepRecord(step, rows.slot + self.batch.first_prompt, rows.sample, fused, drawn, loss, finished)

    @torch.no_grad()
    def _prefill(self) -> None:
        longest = max(len(ids) for ids in self.batch.prompts)
        shape = (len(self.batch.prompts), longest + self.batch.max_new_tokens)
        self._mask = torch.ones(shape, dtype=torch.int64, device=self.engine.device)
        ids = torch.zeros(len(self.batch.prompts), longest, dtype=torch.int64, device=self.engine.device)
        for row, prompt in enumerate(self.batch.prompts):
            self._mask[row, : longest - len(prompt)] = 0
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        self._length = longest
        logits, self._cache = self.engine.forward(ids, self._mask[:, :longest], None)
        shallow = self._tapped("shallow")[self.rows.slot]
        self._deep, self._logits = self._tapped("deep")[self.rows.slot], logits[self.rows.slot].float()
        self._mask = self._mask[self.rows.slot]
        self._cache.reorder_cache(self.rows.slot)
        self.policy.begin(shallow, self.rows)
        self._taps.on_shallow = lambda shallow: self.policy.begin(shallow, self.rows)

    def _forward(self, tokens: Tensor) -> None:
        self._length += 1
        logits, self._cache = self.engine.forward(
            tokens[self._kept].unsqueeze(-1), self._mask[:, : self._length], self._cache
        )
        self._deep, self._logits = self._tapped("deep"), logits.float()

    def _finish_reasons(self, tokens: Tensor) -> list[str]:
        """Why each row ends with this token; empty where it goes on. The one place where the host waits for tokens."""
        eos, last = self.batch.eos, self._step + 1 == self.batch.max_new_tokens
        reasons = ["eos" if token in eos else "" for token in tokens.tolist()]
        if self.batch.stop:
            for i, place in enumerate(self._place.tolist()):
                text = self.engine.decode(self.history.tokens[place, : self._step + 1])
                if not reasons[i] and any(stop in text for stop in self.batch.stop):
                    reasons[i] = "stop"
        return [reason or ("length" if last else "") for reason in reasons]

    def _leave(self, kept: list[int]) -> None:
        """Keep only the rows at these places of the current batch."""
        self._kept = torch.tensor(kept, dtype=torch.int64, device=self.engine.device)
        if len(kept) < len(self.rows):
            self.rows, self._place, self._mask = self.rows[self._kept], self._place[self._kept], self._mask[self._kept]
            if kept:
                self._cache.reorder_cache(self._kept)

    def _sample(self, place: int, reason: str) -> Sample:
        history, end = self.history, self._step + 1
        text = self.engine.decode(history.tokens[place, :end])
        cuts = [text.find(stop) for stop in self.batch.stop if stop in text] if reason == "stop" else []
        return Sample(
            prompt=self.batch.first_prompt + place // self.batch.n,
            index=place % self.batch.n,
            text=text[: min(cuts)] if cuts else text,
            token_ids=history.tokens[place, :end].clone(),
            log_probs=history.log_probs[place, :end].clone(),
            reference_log_probs=history.reference_log_probs[place, :end].clone(),
            novelty=history.novelty[place, :end].clone(),
            kl=history.kl[place, :end].clone(),
            candidates=history.candidates[place, :end].clone(),
            finish_reason=reason,
        )

    def _tapped(self, name: str) -> Tensor:
        hidden = getattr(self._taps, name)
        if hidden is None:
            raise RuntimeError(
                f"the tap of {name!r} saw nothing in a forward of {type(self.engine.model).__name__}: "
                "the model bypasses its first layer's or its head's __call__"
            )
        return hidden
