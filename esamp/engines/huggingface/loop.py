"""The decode loop: prefill each prompt once, expand to n rows, step until every row has left the batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from esamp.callbacks.base import StepRecord
from esamp.draws import GumbelDraw, TokenDraw
from esamp.engines.huggingface.cache import order_of_kept
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.history import NO_TOKEN, History
from esamp.engines.huggingface.padding import left_padded
from esamp.engines.huggingface.supervisor import Supervisor
from esamp.engines.huggingface.taps import Taps, evaluation_mode
from esamp.engines.huggingface.token_forward import Prefilled, TokenForward
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
        group: slot of each sample, int64 [prompts, n].
        groups: number of slots.
        beta: β of each sample, float32 [prompts, n]; n is the largest of `counts`.
        counts: samples of each prompt, int64 [prompts].
        first_sample: sample index of the first of each prompt's samples, int64 [prompts].
        total: samples of each prompt over all waves, int64 [prompts].
        max_new_tokens: longest sample.
        seed: of the draws.
        draw: how tokens are drawn.
        stop: strings that end a sample.
        eos: token ids that end a sample.
        learn_prompt: let the policy learn from the prompt's own positions before the first token is drawn.
        supervisor: what the caller adds: it treats the logits before anything is chosen, and ends rows.
    """

    prompts: list[list[int]]
    first_prompt: int
    group: Tensor
    groups: int
    beta: Tensor
    counts: Tensor
    first_sample: Tensor
    total: Tensor
    max_new_tokens: int
    seed: int
    draw: TokenDraw = field(default_factory=GumbelDraw)
    stop: Sequence[str] = ()
    eos: frozenset[int] = frozenset()
    learn_prompt: bool = False
    supervisor: Supervisor | None = None

    @property
    def n(self) -> int:
        """Most samples that a prompt has; each has so many places in the batch, of which it fills the first."""
        return self.beta.shape[1]


class DecodeLoop:
    """Decodes one batch with one policy: `with loop: while loop.running: loop.step()`.

    Rows that finish leave the batch, their cache too; the rest moves up.
    """

    def __init__(self, engine: HuggingFaceEngine, policy: DecodePolicy, batch: Batch) -> None:
        self.engine = engine
        self.policy = policy
        self.batch = batch
        self.history: History = History(batch.beta.numel(), batch.groups, batch.max_new_tokens, engine.device)
        self._seats = Rows.of_prompts(*(t.to(engine.device) for t in (batch.group, batch.beta, batch.first_sample)))
        taken = torch.arange(batch.n) < batch.counts.unsqueeze(1)
        self._place = taken.flatten().nonzero().squeeze(1).to(engine.device)
        self.rows = self._seats if bool(taken.all()) else self._seats[self._place]
        total = batch.total.to(engine.device).repeat_interleave(batch.n)
        prompt = torch.arange(len(total), device=engine.device) // batch.n
        self._drawing = batch.draw.begin(batch.seed, self._seats.sample, total, prompt)
        self._step = 0
        self._learnt: int | None = None

    def __enter__(self) -> DecodeLoop:
        with ExitStack() as stack:
            stack.enter_context(evaluation_mode(self.engine.model))
            self._forward = stack.enter_context(self._prefill())
            # Nothing failed: hooks and mode stay until `__exit__`.
            self._undo = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._undo.close()
        del self._forward  # and with it the cache

    @property
    def running(self) -> bool:
        """Some row has not finished."""
        return len(self.rows) > 0

    @torch.no_grad()
    def step(self) -> StepRecord:
        """Fuse, draw, learn; then forward what goes on."""
        step, rows, place = self._step, self.rows, self._place
        supervisor = self.batch.supervisor
        reference = self._logits if supervisor is None else supervisor.treat(place, self._logits)
        fused = self.policy.fuse(self._deep, reference)
        drawn = fused.draw(self._drawing, rows, place)
        self._write_loss()
        self.policy.learn(self._deep, drawn.tokens)
        self._learnt = step
        tokens = self.history.write(step, place, fused, drawn, self._logits)
        ended = set[int]() if supervisor is None else supervisor.ended(place, self._logits, fused, drawn)
        reasons = self._finish_reasons(tokens, ended)
        finished = [self._sample(int(place[i]), reason) for i, reason in enumerate(reasons) if reason]
        self._step += 1
        self.rows = self.rows.advance()
        kept = self._leave([i for i, reason in enumerate(reasons) if not reason])
        if self.running:
            self._deep, logits = self._forward(drawn.tokens[kept])
            self._logits = logits.float()
        else:
            self._write_loss()
        return StepRecord(
            step,
            self.batch.first_prompt + place // self.batch.n,
            rows.sample,
            fused,
            drawn,
            lambda: self._loss(step),
            finished,
        )

    def _write_loss(self) -> None:
        """Record the loss of the last step that was learnt: here, because after the next `fuse` it costs no waiting."""
        if self._learnt is not None:
            self.history.loss[:, self._learnt] = self.policy.losses()
            self._learnt = None

    def _loss(self, step: int) -> Tensor:
        self._write_loss()
        return self.history.loss[:, step]

    @torch.no_grad()
    def _prefill(self) -> TokenForward:
        """Begin with the prompts; the forward of what follows."""
        ids, mask = left_padded(self.batch.prompts, self.batch.max_new_tokens, self.engine.device)
        length, prompt = ids.shape[1], self._place // self.batch.n
        with Taps(self.engine.model, sequences=self.batch.learn_prompt) as taps:
            logits, cache = self.engine.forward(ids, mask[:, :length], None)
            if self.batch.learn_prompt:
                self._learn_prompt(ids, mask, *taps.sequences())
            shallow, self._deep = taps.read("shallow")[prompt], taps.read("deep")[prompt]
        self._logits = logits[prompt].float()
        prefilled = Prefilled(cache, mask[prompt], length, prompt)
        forward = self.engine.token_forward(prefilled, lambda shallow: self.policy.begin(shallow, self.rows))
        self.policy.begin(shallow, self.rows)
        return forward

    def _learn_prompt(self, ids: Tensor, mask: Tensor, shallow: Tensor, deep: Tensor) -> None:
        """Show the policy the prompt's positions but the last, n of each prompt at a time, in its seats' lanes."""
        before_last = ids.shape[1] - 1
        seat = torch.arange(len(self._seats), device=ids.device) % self.batch.n
        for start in range(0, before_last, self.batch.n):
            chunk = slice(start, min(start + self.batch.n, before_last))
            following = slice(chunk.start + 1, chunk.stop + 1)
            seats = self._seats[seat < chunk.stop - chunk.start]
            self.policy.prefill(
                shallow[:, chunk].flatten(0, 1),
                deep[:, chunk].flatten(0, 1),
                ids[:, following].flatten(),
                seats,
                mask[:, chunk].flatten() > 0,
            )

    def _finish_reasons(self, tokens: Tensor, ended: Collection[int]) -> list[str]:
        """Why each row ends with this token; empty where it goes on. The one place where the host waits for tokens.

        Rows at the places `ended` of the current batch are ended by the supervisor.
        """
        eos, last = self.batch.eos, self._step + 1 == self.batch.max_new_tokens
        drawn = tokens.tolist()
        if NO_TOKEN in drawn:
            place = int(self._place[drawn.index(NO_TOKEN)])
            prompt, sample = divmod(place, self.batch.n)
            first = int(self.batch.first_sample[prompt])
            raise self.engine.no_numbers(self._step, first + sample, self.batch.first_prompt + prompt)
        reasons = ["eos" if token in eos else "" for token in drawn]
        if self.batch.stop:
            for i, place in enumerate(self._place.tolist()):
                text = self.engine.decode(self.history.tokens[place, : self._step + 1])
                if not reasons[i] and any(stop in text for stop in self.batch.stop):
                    reasons[i] = "stop"
        for i in ended:
            reasons[i] = reasons[i] or ("length" if last else "stop")
        return [reason or ("length" if last else "") for reason in reasons]

    def _leave(self, kept: list[int]) -> Tensor:
        """Keep only the rows at these places of the current batch; the places in their new order, int64 [kept]."""
        order = torch.tensor(order_of_kept(kept), dtype=torch.int64, device=self.engine.device)
        if len(kept) < len(self.rows):
            self.rows, self._place = self.rows[order], self._place[order]
            if kept:
                self._forward.keep(order)
        return order

    def _sample(self, place: int, reason: str) -> Sample:
        history, end = self.history, self._step + 1
        text = self.engine.decode(history.tokens[place, :end])
        cuts = [text.find(stop) for stop in self.batch.stop if stop in text] if reason == "stop" else []
        return Sample(
            prompt=self.batch.first_prompt + place // self.batch.n,
            index=int(self.batch.first_sample[place // self.batch.n]) + place % self.batch.n,
            text=text[: min(cuts)] if cuts else text,
            token_ids=history.tokens[place, :end].clone(),
            log_probs=history.log_probs[place, :end].clone(),
            reference_log_probs=history.reference_log_probs[place, :end].clone(),
            novelty=history.novelty[place, :end].clone(),
            kl=history.kl[place, :end].clone(),
            candidates=history.candidates[place, :end].clone(),
            finish_reason=reason,
        )
