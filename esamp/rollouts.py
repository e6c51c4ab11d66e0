"""Rollouts for reinforcement learning: what TRL's GRPO trains on may be drawn by ESamp."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, final

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel
from typing_extensions import override

from esamp.callbacks import Callback
from esamp.checks import check_integer
from esamp.noise import MAX_SEED
from esamp.result import GenerationResult, Sample
from esamp.sampler import ESampSampler

__all__ = ["ESampRollouts"]


@final
class ESampRollouts:
    """`GRPOTrainer(rollout_func=ESampRollouts(...))`: the completions of a prompt are samples that know of each other.

    Temperature, filters, penalties and lengths are those of the trainer's `GRPOConfig`. The log-probabilities given
    back are those of the distribution that was drawn from, tilted and filtered: they are what an importance ratio
    π_θ / π_drawn needs below its fraction bar. TRL itself is not imported.

    Args:
        seed: of the first call; later ones count on from it, over all processes.
        **parts: the keyword arguments of `ESampSampler`, such as beta and distiller.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range.
    """

    def __init__(self, seed: int = 0, **parts: Any) -> None:
        self.seed: int = check_integer("seed", seed, low=0, high=MAX_SEED)
        self.parts = parts
        self._calls = 0

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
        """Completions of prompts, which come each as often as it is wanted.

        Args:
            prompts: texts, or lists of chat messages; equal neighbours are samples of one prompt.
            trainer: TRL's `GRPOTrainer`.

        Returns:
            For each prompt its `prompt_ids`, `completion_ids` and `logprobs`; the latter are those of the distribution
            drawn from.

        Raises:
            ValueError: the trainer asks for what ESamp refuses; the message names it.
        """
        check_trainer(trainer)
        processes = trainer.accelerator.num_processes
        seed = self.seed + self._calls * processes + trainer.accelerator.process_index
        self._calls += 1
        # A sampler reads the model's head when it is made, and training moves the model.
        wrapped = trainer.accelerator.unwrap_model(trainer.model)
        sampler = ESampSampler(wrapped, trainer.processing_class, **self.parts)
        training = trainer.model.training
        most = trainer.num_generations if training else trainer.num_generations_eval
        prompt_ids, samples = list[list[int]](), list[Sample]()
        with own_configuration(sampler.engine.model, trainer.generation_config):
            # Runs of one length are generated together.
            for n, runs in groupby(runs_of(prompts, most), key=len):
                ids = tokens_of([run[0] for run in runs], trainer)
                prompt_ids += [row for row in ids for _ in range(n)]
                samples += _draw(sampler, ids, n, trainer.generation_config, seed)
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": [sample.token_ids.tolist() for sample in samples],
            "logprobs": [sample.log_probs.tolist() for sample in samples],
        }


def check_trainer(trainer: Any) -> None:
    """Check that the trainer generates with transformers, and from text.

    Raises:
        ValueError: it generates with another engine, or calls tools; the argument is named.
    """
    refused = {
        "use_vllm": trainer.use_vllm,
        "use_transformers_continuous_batching": trainer.use_transformers_continuous_batching,
        "tools": bool(trainer.tools),
    }
    for name, asked in refused.items():
        if asked:
            raise ValueError(
                f"{name} must be off with ESampRollouts, which samples text with transformers; leave it out"
            )


def runs_of(prompts: Sequence[Any], most: int) -> Iterator[list[Any]]:
    """Equal neighbours, at most so many: the samples of one prompt.

    Examples:
        >>> [len(run) for run in runs_of(["a", "a", "a", "a", "b", "b"], 2)]
        [2, 2, 2]
    """
    for _, equal in groupby(prompts):
        run = list(equal)
        for start in range(0, len(run), most):
            yield run[start : start + most]


def tokens_of(prompts: Sequence[Any], trainer: Any) -> list[list[int]]:
    """Token ids of texts or of chat messages, with the trainer's tokenizer and chat template."""
    if isinstance(prompts[0], str):
        return trainer.processing_class(text=list(prompts))["input_ids"]
    return trainer.processing_class.apply_chat_template(
        list(prompts),
        chat_template=trainer.chat_template,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        **trainer.chat_template_kwargs,
    )["input_ids"]


@contextmanager
def own_configuration(model: PreTrainedModel, config: GenerationConfig) -> Generator[None]:
    """While entered, the model's own generation configuration is this one: its checkpoint's fills no gaps."""
    before, model.generation_config = model.generation_config, copy.deepcopy(config)
    try:
        yield
    finally:
        model.generation_config = before


@final
class _Keep(Callback):
    """Keeps the result of a run."""

    result: GenerationResult

    @override
    def on_generate_end(self, result: GenerationResult) -> None:
        self.result = result


def _draw(sampler: ESampSampler, ids: list[list[int]], n: int, config: GenerationConfig, seed: int) -> list[Sample]:
    """N samples of each prompt, through `model.generate` with all that the configuration says."""
    config = copy.deepcopy(config)
    config.num_return_sequences = n
    model: Any = sampler.engine.model
    device = sampler.engine.device
    kept = _Keep()
    model.generate(
        input_ids=_padded(ids, config.pad_token_id or 0, device),
        attention_mask=_padded([[1] * len(row) for row in ids], 0, device),
        generation_config=config,
        custom_generate=sampler,
        seed=seed,
        callbacks=[kept],
    )
    return [sample for samples in kept.result.samples for sample in samples]


def _padded(rows: list[list[int]], padding: int, device: torch.device) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[padding] * (longest - len(row)) + row for row in rows], device=device)
