"""ESampSampler: a model and three parts make n diverse samples."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, final, overload

import torch
from torch import nn
from transformers import CompileConfig, PreTrainedTokenizerBase
from typing_extensions import override

from esamp.bank import Bank
from esamp.callbacks import Callback, ProgressBar
from esamp.callbacks.base import check_callbacks
from esamp.candidates import Filters
from esamp.checks import check_choice, check_flag, check_integer
from esamp.distillers import Distiller, distillers
from esamp.draws import TokenDraw, draws
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loading import load
from esamp.engines.text import Prompt
from esamp.fusion import NoveltyFusion, fusions
from esamp.generation.recipe import Recipe
from esamp.presets import preset_parts
from esamp.result import GenerationResult
from esamp.samplers import Sampler, samplers
from esamp.samplers.inside_generate import InsideGenerate
from esamp.samplers.on_vllm import VLLMSampler
from esamp.schedulers import OverlapScheduler, schedulers
from esamp.schedules import Schedule
from esamp.sharing import Sharing, sharings
from esamp.strength import Beta, check_beta

__all__ = ["ESampSampler"]


@final
@samplers.register("esamp")
class ESampSampler(InsideGenerate, Sampler):
    """Exploratory Sampling (arXiv 2604.24927): n samples of a prompt that avoid what the others have made predictable.

    Args:
        model: any decoder-only transformers model, also with a PEFT adapter in its layers.
        tokenizer: its tokenizer.
        distiller: predicts hᴸ from h¹: a `Distiller`, its class, or a name ("mlp").
        fusion: tilts the logits: a `NoveltyFusion`, its class, or a name ("beta_mix").
        scheduler: when the distiller's work runs: an `OverlapScheduler`, its class, or a name ("synchronous", "auto").
        draw: how tokens are drawn from what the fusion gives: a `TokenDraw`, its class, or a name ("gumbel",
            "arithmetic", "in_turn").
        beta: exploration strength β >= 0, or a schedule over the steps of a sample (`esamp.schedules`); 0 is plain
            sampling. `generate` can override it.
        warmup: updates of a prompt's distiller before its fusion starts.
        filtering: "post-filter" (temperature and filters choose the candidates from the LLM's own logits, fusion acts
            on those) or "pre-filter" (fusion acts on the whole vocabulary, then the filters).
        sharing: which prompts share a distiller: a `Sharing`, its class, or a name ("per_prompt", "per_sample",
            "whole_batch").
        domains: which prompts are of one domain, for distillers with such a level (`HierarchicalDistiller`): a
            `Sharing`, its class, or a name; None: there is one domain.
        learn_prompt: let a distiller learn from the prompt's own positions before the first token.
        compiled: compile the model's forward of one token (`torch.compile`, a minute the first time), over a static
            cache; a `CompileConfig` of transformers has other arguments of `torch.compile` than its own.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, a part's name is unknown, or the model cannot be tapped.

    The parts given are recipes: every call of `generate` works on fresh state.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        distiller: Distiller | type[Distiller] | str = "recursive_least_squares",
        fusion: NoveltyFusion | type[NoveltyFusion] | str = "beta_mix",
        scheduler: OverlapScheduler | type[OverlapScheduler] | str = "synchronous",
        draw: TokenDraw | type[TokenDraw] | str = "gumbel",
        beta: float | Schedule = 0.25,
        warmup: int = 1,
        filtering: str = "post-filter",
        sharing: Sharing | type[Sharing] | str = "per_prompt",
        domains: Sharing | type[Sharing] | str | None = None,
        learn_prompt: bool = False,
        compiled: bool | CompileConfig = False,
    ) -> None:
        self.distiller: Distiller = distillers.build(distiller)
        self.fusion: NoveltyFusion = fusions.build(fusion)
        self.scheduler = schedulers.build(scheduler)
        self.draw: TokenDraw = draws.build(draw)
        self.beta: float | Schedule = beta if callable(beta) else check_beta(beta)
        self.warmup: int = check_integer("warmup", warmup, low=1, hint="an untrained distiller is noise")
        self.filtering: str = check_choice("filtering", filtering, ("post-filter", "pre-filter"))
        self.sharing: Sharing = sharings.build(sharing)
        self.domains: Sharing | None = None if domains is None else sharings.build(domains)
        self.learn_prompt: bool = check_flag("learn_prompt", learn_prompt)
        self.engine: HuggingFaceEngine = HuggingFaceEngine(model, tokenizer, compiled)
        self.scheduler: OverlapScheduler = self.scheduler.bind(self.engine.device)
        self._check_fits()

    @overload
    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "smollm2-135m",
        *,
        dtype: torch.dtype | str = "auto",
        device: torch.device | str | None = None,
        engine: Literal["huggingface"] = "huggingface",
        **parts: Any,
    ) -> ESampSampler: ...

    @overload
    @classmethod
    def from_pretrained(
        cls, model: str | Path = "smollm2-135m", *, engine: Literal["vllm"], **parts: Any
    ) -> VLLMSampler: ...

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "smollm2-135m",
        *,
        dtype: torch.dtype | str = "auto",
        device: torch.device | str | None = None,
        engine: str = "huggingface",
        **parts: Any,
    ) -> ESampSampler | VLLMSampler:
        """A sampler on a model loaded by name.

        Args:
            model: "smollm2-135m" (the embedded one), a folder in transformers' or PEFT's format, or a hub id.
            dtype: of the weights; "auto" is the checkpoint's own.
            device: None: a GPU where there is one.
            engine: "huggingface", or "vllm" for a sampler with the same `generate` whose samples vLLM draws; its parts
                are given by name, and vLLM's own options may follow (`esamp.samplers.on_vllm.VLLMSampler`).
            **parts: the keyword arguments of `ESampSampler`.

        Raises:
            ModuleNotFoundError: the embedded model's package is not installed.
            TypeError: an argument is of the wrong type.
            ValueError: nothing can be loaded by that name, or another argument is wrong.
        """
        if check_choice("engine", engine, ("huggingface", "vllm")) == "vllm":
            if device is not None:
                raise ValueError(f"device must be None with engine='vllm', which finds its own, got {device!r}")
            return VLLMSampler(model, dtype=str(dtype).removeprefix("torch."), **parts)
        # What is misspelt is told before a model is read, which may take minutes.
        inspect.signature(cls).bind(model, None, **parts)
        zoos = {"distiller": distillers, "fusion": fusions, "scheduler": schedulers, "draw": draws}
        zoos |= {"sharing": sharings, "domains": sharings}
        parts |= {name: zoo.build(parts[name]) for name, zoo in zoos.items() if parts.get(name) is not None}
        return cls(*load(model, dtype, device), **parts)

    @classmethod
    def preset(cls, name: str, model: str | Path = "smollm2-135m", **others: Any) -> ESampSampler:
        """A sampler whose parts are those of a preset (`esamp.presets`).

        Args:
            name: "explore" (ESamp, and away from what siblings choose) or "paper" (ESamp as published).
            model: as in `from_pretrained`.
            **others: arguments of `from_pretrained`; they come before the preset's.

        Raises:
            ModuleNotFoundError: the embedded model's package is not installed.
            TypeError: an argument is of the wrong type.
            ValueError: there is no such preset, nothing can be loaded, or another argument is wrong.

        Example:
            >>> sampler = ESampSampler.preset("explore", beta=0.25)  # doctest: +SKIP
        """
        return cls.from_pretrained(model, **(preset_parts(name) | others))

    @override
    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        n: int | Sequence[int] = 16,
        *,
        max_new_tokens: int = 128,
        temperature: float | Schedule = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = 0.05,
        typical_p: float | None = None,
        epsilon_cutoff: float | None = None,
        eta_cutoff: float | None = None,
        top_n_sigma: float | None = None,
        filter_temperature: float | None = None,
        seed: int = 0,
        beta: Beta | None = None,
        waves: int = 1,
        state: Sequence[Bank] | None = None,
        stop: str | Sequence[str] = (),
        ignore_eos: bool = False,
        chat: bool = False,
        batch_size: int | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
    ) -> GenerationResult:
        """Draw n samples of each prompt.

        Args:
            prompts: a prompt or a list of them; each is raw text, chat messages that go through the template, or token
                ids, special tokens included.
            n: samples of each prompt, one number or one for each; by default a prompt's samples share one distiller,
                and share it with no other prompt.
            max_new_tokens: longest sample, in tokens.
            temperature: T > 0: a number, or a schedule over the steps of a sample.
            top_k: keep the k most probable tokens; None: off.
            top_p: keep the smallest set with this probability mass; None: off.
            min_p: keep what is at least this fraction as probable as the most probable token; None: off.
            typical_p: keep the most typical set with this probability mass; None: off.
            epsilon_cutoff: keep what is at least this probable; None: off.
            eta_cutoff: the same, with less where the entropy is high; None: off.
            top_n_sigma: keep logits at most so many standard deviations below the largest; None: off.
            filter_temperature: temperature at which the filters look at the logits; None: that of the draw.
            seed: of the draws; the same seed gives the same samples, whatever else is in the batch.
            beta: overrides the sampler's β. A number, or a tensor [n] or [prompts, n] with one β for each sample; a
                tensor of zeros watches (the distiller learns, diagnostics are filled) and steers nothing; or a
                schedule over the steps of a sample (`esamp.schedules`).
            waves: decode the n samples in this many successive waves; later ones meet what earlier ones taught.
            state: `result.state` of an earlier call with the same prompts, whose distillers are carried over; it is
                not changed.
            stop: strings that end a sample; they are cut off its text.
            ignore_eos: go on to max_new_tokens; for benchmarks, which need samples of equal length.
            chat: pass plain strings through the chat template too, as one user message.
            batch_size: prompts decoded together; None: all of them.
            callbacks: hooks, in Lightning's manner.
            progress: show a progress bar on stderr.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: an argument is out of range, empty or contradictory, or a prompt does not fit the context.
        """
        filters = Filters(
            temperature,
            top_k,
            top_p,
            min_p,
            typical_p,
            epsilon_cutoff,
            eta_cutoff,
            top_n_sigma,
            filter_temperature,
        )
        recipe = self._recipe()
        request = recipe.request(
            prompts,
            n=n,
            max_new_tokens=max_new_tokens,
            filters=filters,
            seed=seed,
            beta=beta,
            waves=waves,
            stop=stop,
            ignore_eos=ignore_eos,
            chat=chat,
            batch_size=batch_size,
        )
        hooks = check_callbacks(callbacks)
        hooks += [ProgressBar()] if check_flag("progress", progress) else []
        return recipe.run(request, state, hooks)

    @override
    def describe(self, filters: Filters | None = None) -> str:
        """The pipeline of one decode step, in order, a line a stage."""
        stages = self._recipe().stages(filters or Filters(min_p=0.05))
        return "\n".join(f"{number}. {stage}" for number, stage in enumerate(stages, 1))

    @override
    def _recipe(self) -> Recipe:
        """The model, and the parts as they are now."""
        return Recipe(
            self.engine,
            self.distiller,
            self.fusion,
            self.scheduler,
            self.draw,
            self.beta,
            self.warmup,
            self.filtering == "pre-filter",
            self.sharing,
            self.domains,
            self.learn_prompt,
        )

    def _check_fits(self) -> None:
        """The distiller's sizes and its start fit this model, or it says why not."""
        distiller = copy.deepcopy(self.distiller)
        distiller.bind(self.engine.llm)
        distiller.memory(self.engine.head.weight.shape[1])
