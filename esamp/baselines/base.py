"""Ways of sampling that choose one token after another: a policy, and ESampSampler's loop around it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase
from typing_extensions import Unpack, override

from esamp.callbacks import Callback, ProgressBar
from esamp.callbacks.base import check_callbacks
from esamp.candidates import FilterOptions, Filters
from esamp.checks import check_flag
from esamp.draws import TokenDraw, draws
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.text import Prompt
from esamp.generation.request import Request
from esamp.generation.run import Generation, Method
from esamp.result import GenerationResult
from esamp.samplers import Sampler, samplers
from esamp.sharing import PerPrompt

__all__ = ["DEFAULT_FILTERS", "PolicySampler", "plain_request"]

DEFAULT_FILTERS: FilterOptions = {"min_p": 0.05}
"""Those of `ESampSampler.generate`."""


class PolicySampler(Sampler):
    """Samples with a decode policy of its own instead of the explorer.

    Args:
        model: any decoder-only transformers model.
        tokenizer: its tokenizer.
        draw: how tokens are drawn: a `TokenDraw`, its class, or a name ("gumbel", "arithmetic").

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or the model cannot be decoded.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        draw: TokenDraw | type[TokenDraw] | str = "gumbel",
    ) -> None:
        self.engine: HuggingFaceEngine = HuggingFaceEngine(model, tokenizer)
        self.draw: TokenDraw = draws.build(draw)

    @abstractmethod
    def method(self) -> Method:
        """What serves one request."""

    @abstractmethod
    def stages(self, filters: Filters) -> Sequence[str]:
        """What happens in one decode step, in order."""

    def settings(self) -> dict[str, Any]:
        """The sampler's own arguments as plain values, for the record."""
        return {}

    def waves(self, n: int) -> int:
        """In how many successive waves n samples are decoded where the caller does not say."""
        return 1

    @override
    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        n: int | Sequence[int] = 16,
        *,
        max_new_tokens: int = 128,
        seed: int = 0,
        waves: int | None = None,
        stop: str | Sequence[str] = (),
        ignore_eos: bool = False,
        chat: bool = False,
        batch_size: int | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
        **filters: Unpack[FilterOptions],
    ) -> GenerationResult:
        """Draw n samples of each prompt. The arguments are those of `ESampSampler.generate`, filters too.

        Args:
            prompts: a prompt or a list of them.
            n: samples of each prompt.
            max_new_tokens: longest sample, in tokens.
            seed: of the draws.
            waves: decode the n samples in this many successive waves; None: what the method needs.
            stop: strings that end a sample.
            ignore_eos: go on to max_new_tokens.
            chat: pass plain strings through the chat template.
            batch_size: prompts decoded together; None: all of them.
            callbacks: hooks, in Lightning's manner.
            progress: show a progress bar on stderr.
            **filters: the fields of `Filters`; min_p is 0.05 unless it is given.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: an argument is out of range, empty or contradictory, or a prompt does not fit the context.
        """
        options: Any = {**DEFAULT_FILTERS, **filters}
        chosen = Filters(**options)
        most = n if isinstance(n, int) else max((count for count in n if isinstance(count, int)), default=1)
        request = plain_request(
            self.engine,
            prompts,
            n=n,
            max_new_tokens=max_new_tokens,
            filters=chosen,
            seed=seed,
            draw=self.draw,
            waves=max(1, self.waves(most)) if waves is None else waves,
            stop=stop,
            ignore_eos=ignore_eos,
            chat=chat,
            batch_size=batch_size,
        )
        hooks = check_callbacks(callbacks)
        hooks += [ProgressBar()] if check_flag("progress", progress) else []
        name, model = samplers.name_of(self), self.engine.model.config.name_or_path
        settings = {"sampler": name, "model": model, **self.settings(), **request.settings()}
        return Generation(self.engine, request, self.method(), settings, hooks).run()

    @override
    def describe(self, filters: Filters | None = None) -> str:
        """The pipeline of one decode step, in order, a line a stage."""
        stages = self.stages(filters or Filters(**DEFAULT_FILTERS))
        return "\n".join(f"{number}. {stage}" for number, stage in enumerate(stages, 1))


def plain_request(engine: HuggingFaceEngine, prompts: Prompt | Sequence[Prompt], **arguments: Any) -> Request:
    """A checked request without a distiller, each prompt a group of its own; the arguments are `Request.check`'s.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, empty or contradictory, or a prompt does not fit the context.
    """
    return Request.check(engine, prompts, beta=0.0, sharing=PerPrompt(), domains=None, learn_prompt=False, **arguments)
