"""`ESampSampler.from_pretrained(..., engine="vllm")`: the same call and the same result, drawn by vLLM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from typing_extensions import override

from esamp.callbacks import Callback, GenerateStart
from esamp.callbacks.base import check_callbacks
from esamp.candidates import Filters
from esamp.checks import check_choice, check_flag, check_integer
from esamp.engines.text import Prompt
from esamp.engines.vllm.wish import Wish
from esamp.generation.prompts import check_encoded, encode, list_of_prompts, render
from esamp.generation.request import check_counts
from esamp.noise import MAX_SEED
from esamp.result import Diagnostics, GenerationResult, Sample
from esamp.samplers.base import Sampler
from esamp.sharing import Sharing, sharings
from esamp.strength import Beta, beta_per_sample, check_beta

__all__ = ["VLLMSampler"]

_HUGGING_FACE = "use engine='huggingface' for it"

# Arguments of `ESampSampler` that this engine does not have.
_ABSENT = {"draw", "domains", "learn_prompt"}


@final
class VLLMSampler(Sampler):
    """ESamp's samples from a vLLM engine.

    Every sample is a request of its own, with its group, its index and its β, so that the draws are those of the other
    engine: the same seed gives the same texts, as far as both models compute the same logits.

    Args:
        model: what `vllm.LLM` takes, or "smollm2-135m".
        distiller: a name or a dotted path; its arguments go into `esamp={"distiller_arguments": {...}}`.
        fusion: a name or a dotted path.
        scheduler: a name.
        beta: exploration strength.
        warmup: updates of a group's distiller before its fusion starts.
        filtering: "post-filter" or "pre-filter".
        sharing: which prompts share a distiller.
        esamp: further settings, by their names in `esamp.engines.vllm.settings.Settings`.
        **options: the keyword arguments of `vllm.LLM`.

    Raises:
        TypeError, ValueError: an argument is wrong, or vLLM cannot run with it.
    """

    def __init__(
        self,
        model: str | Path = "smollm2-135m",
        *,
        distiller: str = "recursive_least_squares",
        fusion: str = "beta_mix",
        scheduler: str = "synchronous",
        beta: float = 0.25,
        warmup: int = 1,
        filtering: str = "post-filter",
        sharing: Sharing | type[Sharing] | str = "per_prompt",
        esamp: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        from esamp.engines.vllm.engine import VLLMEngine
        from esamp.engines.vllm.llm import LLM
        from esamp.engines.vllm.settings import Settings

        for name, part in {"distiller": distiller, "fusion": fusion, "scheduler": scheduler}.items():
            if not isinstance(part, str):
                raise TypeError(
                    f"{name} must be a name or a dotted path with engine='vllm', whose workers build it, got {part!r}"
                )
        for name in _ABSENT & options.keys():
            raise ValueError(f"{name} must be left out with engine='vllm', got {options[name]!r}; {_HUGGING_FACE}")
        check_choice("filtering", filtering, ("post-filter", "pre-filter"))
        self.beta: float = check_beta(beta)
        self.sharing: Sharing = sharings.build(sharing)
        if self.sharing.per_sample:
            raise ValueError(
                f"sharing must keep a prompt's samples together with engine='vllm', got {sharing!r}; {_HUGGING_FACE}"
            )
        given: dict[str, Any] = {"distiller": distiller, "fusion": fusion, "scheduler": scheduler, "warmup": warmup}
        given |= {"prefilter": filtering == "pre-filter"}
        self.settings = Settings(**(given | (esamp or {})))
        self.engine = VLLMEngine(LLM(model, esamp=self.settings.plain(), **options))

    @override
    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        n: int | Sequence[int] = 16,
        *,
        max_new_tokens: int = 128,
        temperature: Any = 1.0,
        seed: int = 0,
        beta: Beta | None = None,
        waves: int = 1,
        state: None = None,
        stop: str | Sequence[str] = (),
        ignore_eos: bool = False,
        chat: bool = False,
        batch_size: int | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
        min_p: float | None = 0.05,
        **filters: Any,
    ) -> GenerationResult:
        """Draw n samples of each prompt; the arguments are those of `ESampSampler.generate`.

        `batch_size` bounds the prompts that are under way together, as `max_groups` does. Callbacks are told of the run
        and of finished samples, not of steps.

        Raises:
            TypeError, ValueError: an argument is wrong, or is one that this engine does not have.
        """
        _refuse(state, temperature, beta)
        common: dict[str, Any] = {"max_tokens": max_new_tokens, "ignore_eos": check_flag("ignore_eos", ignore_eos)}
        common["stop"] = [stop] if isinstance(stop, str) else list(stop)
        wish = self._check(prompts, n, chat, waves, max_new_tokens, self.beta if beta is None else beta)
        wish = replace(wish, filters=Filters(temperature=temperature, min_p=min_p, **filters), common=common)
        wish = replace(wish, seed=check_integer("seed", seed, low=0, high=MAX_SEED))
        settings: dict[str, Any] = self.settings.plain() | {"engine": "vllm", "model": self.engine.name}
        settings |= wish.settings()
        hooks = check_callbacks(callbacks)
        for hook in hooks:
            hook.on_generate_start(
                GenerateStart(len(wish.texts), settings["n"], sum(wish.counts), max_new_tokens, settings)
            )
        samples: list[list[Sample]] = [[] for _ in wish.texts]
        longest: dict[tuple[int, int], dict[str, Any]] = {}
        for batch in self._batches(wish.groups, batch_size):
            for wave in range(waves):
                for sample, record in self._draw(wish, batch, wave, progress):
                    samples[sample.prompt].append(sample)
                    place = (wish.groups[sample.prompt], wave)
                    longest[place] = max(longest.get(place, record), record, key=lambda record: len(record["loss"]))
                    for hook in hooks:
                        hook.on_sample_end(sample)
        for of_prompt in samples:
            of_prompt.sort(key=lambda sample: sample.index)
        result = GenerationResult(wish.texts, samples, _diagnostics(longest, max_new_tokens), settings)
        for hook in hooks:
            hook.on_generate_end(result)
        return result

    @override
    def describe(self) -> str:
        """The pipeline of one decode step, as the worker has it."""
        return str(self.engine.llm.collective_rpc("esamp_describe")[0])

    def _check(self, prompts: Any, n: Any, chat: bool, waves: int, max_new_tokens: int, beta: Beta) -> Wish:
        """What is wished for, every argument checked."""
        listed = list_of_prompts(prompts)
        counts = check_counts(n, len(listed))
        check_integer("max_new_tokens", max_new_tokens, low=1)
        check_integer("waves", waves, low=1, high=max(counts), hint="a wave has at least one sample")
        texts = render(listed, self.engine, chat=check_flag("chat", chat))
        encoded = encode(listed, texts, self.engine, chat=chat)
        check_encoded(encoded, max_new_tokens, self.engine)
        groups = self.sharing.groups(texts)
        self._check_room(counts, groups, waves)
        return Wish(texts, encoded, counts, groups, beta_per_sample(beta, len(texts), max(counts)), waves)

    def _check_room(self, counts: list[int], groups: list[int], waves: int) -> None:
        """Every sample has a lane in its group."""
        largest = max(sum(-(-n // waves) for n, mine in zip(counts, groups, strict=True) if mine == g) for g in groups)
        if largest > self.settings.max_lanes:
            raise ValueError(
                f"n must be at most {self.settings.max_lanes} samples of a group at a time, got {largest}; start the "
                f"sampler with esamp={{'max_lanes': {largest}}}, or draw them in more waves"
            )

    def _batches(self, groups: list[int], batch_size: int | None) -> Iterator[list[int]]:
        """Prompts that are under way together: no more groups than the engine has room for."""
        batch: list[int] = []
        for prompt in range(len(groups)):
            full = len({groups[other] for other in (*batch, prompt)}) > self.settings.max_groups
            if batch and (full or len(batch) == batch_size):
                yield batch
                batch = []
            batch.append(prompt)
        yield batch

    def _draw(self, wish: Wish, batch: list[int], wave: int, progress: bool) -> Iterator[tuple[Sample, dict[str, Any]]]:
        """The samples of some prompts in one wave, each with what was recorded of it."""
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports]

        seats = [(prompt, index) for prompt in batch for index in wish.of_wave(prompt, wave)]
        tokens = [{"prompt_token_ids": wish.encoded[prompt]} for prompt, _ in seats]
        parameters = [SamplingParams(**wish.parameters(*seat)) for seat in seats]
        outputs = self.engine.llm.generate(tokens, parameters, use_tqdm=progress)
        # All ranks keep the same.
        records = {
            record["mark"]: record for record in self.engine.llm.collective_rpc("esamp_records", args=(wish.run,))[0]
        }
        for seat, output in zip(seats, outputs, strict=True):
            record = records[wish.mark(*seat)]
            yield self._sample(*seat, output.outputs[0], record), record

    def _sample(self, prompt: int, index: int, output: Any, record: dict[str, Any]) -> Sample:
        ids, length = list(output.token_ids), len(output.token_ids)
        text = self.engine.text(ids)
        reason = str(output.finish_reason)
        if isinstance(output.stop_reason, str):
            text = text[: text.find(output.stop_reason)]
        elif reason == "stop":
            reason = "eos"

        def column(name: str) -> Tensor:
            return torch.tensor(record[name][:length], dtype=torch.float32)

        if record["token_ids"][:length] != ids:
            raise RuntimeError(
                f"vLLM gave sample {index} of prompts[{prompt}] tokens that ESamp did not draw: the model's logits "
                "there are no numbers (load it in float32 or bfloat16), or something else in this engine chooses "
                "tokens (start it without)"
            )
        return Sample(
            prompt,
            index,
            text,
            torch.tensor(ids, dtype=torch.int64),
            column("log_probs"),
            column("reference_log_probs"),
            column("novelty"),
            column("kl"),
            column("candidates").long(),
            reason,
        )


def _diagnostics(longest: dict[tuple[int, int], dict[str, Any]], steps: int) -> Diagnostics:
    """How each group did: what its longest sample of each wave saw, of which each has room for `steps` losses."""
    losses: dict[int, list[float]] = {}
    last: dict[int, tuple[int, int]] = {}
    for group, wave in sorted(longest):
        record = longest[group, wave]
        loss: list[float] = record["loss"]
        losses[group] = losses.get(group, []) + loss + [torch.nan] * (steps - len(loss))
        last[group] = int(record["resets"][-1]), int(record["exhausted"][-1])
    resets, exhausted = torch.tensor(list(last.values())).unbind(dim=-1)
    return Diagnostics(torch.tensor(list(losses.values())), resets, exhausted)


def _refuse(state: object, temperature: object, beta: object) -> None:
    if state is not None:
        raise ValueError(
            f"state must be None with engine='vllm', whose distillers stay in its workers; {_HUGGING_FACE}"
        )
    if callable(temperature) or callable(beta):
        raise ValueError(f"temperature and beta must be numbers with engine='vllm', not schedules; {_HUGGING_FACE}")
