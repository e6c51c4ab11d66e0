"""A model and the parts of ESamp, put together: what an ESampSampler brings to each of its calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from esamp.bank import Bank
from esamp.callbacks import Callback
from esamp.candidates import Filters
from esamp.distillers import Distiller, distillers
from esamp.draws import TokenDraw
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.text import Prompt
from esamp.fusion import NoveltyFusion, fusions
from esamp.generation.exploration import Exploration
from esamp.generation.request import Request
from esamp.generation.run import Generation
from esamp.result import GenerationResult
from esamp.schedulers import OverlapScheduler, schedulers
from esamp.schedules import Schedule, name_value
from esamp.sharing import Sharing, sharings
from esamp.strength import Beta

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """The attributes are the arguments of `ESampSampler`, checked and built.

    Attributes:
        engine: the model and its tokenizer.
        distiller: predicts hᴸ from h¹.
        fusion: tilts the logits.
        scheduler: when the distiller's work runs.
        draw: how tokens are drawn.
        beta: exploration strength, where a call does not say.
        warmup: updates of a group's distiller before its fusion starts.
        prefilter: fuse over the whole vocabulary, then filter.
        sharing: which prompts share a distiller.
        domains: which prompts are of one domain; None: the distillers have no such level.
        learn_prompt: the distillers learn from the prompt before the first token.
    """

    engine: HuggingFaceEngine
    distiller: Distiller
    fusion: NoveltyFusion
    scheduler: OverlapScheduler
    draw: TokenDraw
    beta: float | Schedule
    warmup: int
    prefilter: bool
    sharing: Sharing
    domains: Sharing | None
    learn_prompt: bool

    def request(self, prompts: Prompt | Sequence[Prompt], *, beta: Beta | None, **asked: Any) -> Request:
        """A checked request; what is asked for beside β are the arguments of `Request.check` that no part answers.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: an argument is out of range, empty or contradictory, or a prompt does not fit the context.
        """
        return Request.check(
            self.engine,
            prompts,
            draw=self.draw,
            beta=self.beta if beta is None else beta,
            sharing=self.sharing,
            domains=self.domains,
            learn_prompt=self.learn_prompt,
            **asked,
        )

    def run(self, request: Request, state: Sequence[Bank] | None, callbacks: Sequence[Callback]) -> GenerationResult:
        """Draw all samples of a request; `state` holds banks to go on from.

        Raises:
            TypeError, ValueError: the banks do not fit the request.
        """
        method = Exploration(
            self.engine,
            self.distiller,
            self.fusion,
            self.scheduler,
            warmup=self.warmup,
            prefilter=self.prefilter,
            given=state,
        )
        return Generation(self.engine, request, method, self.settings() | request.settings(), callbacks).run()

    def settings(self) -> dict[str, Any]:
        """The parts as plain values, for the record."""
        return {
            "model": self.engine.model.config.name_or_path,
            "distiller": distillers.describe(self.distiller),
            "fusion": fusions.describe(self.fusion),
            "scheduler": schedulers.describe(self.scheduler),
            "sharing": sharings.describe(self.sharing),
            "warmup": self.warmup,
            "filtering": "pre-filter" if self.prefilter else "post-filter",
            "compiled": bool(self.engine.compiled),
        }

    def stages(self, filters: Filters) -> Iterator[str]:
        """What happens in one decode step, in order."""
        head = self.engine.head
        model, distiller = type(self.engine.model).__name__, type(self.distiller).__name__
        model += ", compiled" if self.engine.compiled else ""
        scheduler, fusion = type(self.scheduler).__name__, type(self.fusion).__name__
        select = f"candidates: {filters.describe()}"
        fuse = f"fusion: {fusion} with beta = {name_value(self.beta)}, after {self.warmup} update(s) of the group"
        yield f"tap shallow: after the first layer of {model}, width {head.weight.shape[1]}"
        yield f"predict: {distiller}, slots by {type(self.sharing).__name__}, scheduled by {scheduler}"
        yield f"tap deep: the input of the LM head, {head.vocabulary} tokens"
        if self.prefilter:
            yield f"{fuse}, on the whole vocabulary"
            yield f"{select} of the fused logits"
        else:
            yield f"{select} of the reference logits"
            yield f"{fuse}, on the candidates only"
        yield f"draw: {type(self.draw).__name__} from softmax(fused / temperature), keyed by (seed, sample, step)"
        yield "learn: one step on (shallow, deep) of the living rows, finished before the next prediction"
