"""The door through which `model.generate(custom_generate=sampler)` comes in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jaxtyping import Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer
from transformers.generation.utils import GenerateDecoderOnlyOutput

from esamp.callbacks import Callback
from esamp.callbacks.base import check_callbacks
from esamp.engines.huggingface.custom_generate import GenerateCall
from esamp.generation.recipe import Recipe
from esamp.strength import Beta

__all__ = ["InsideGenerate"]


class InsideGenerate(ABC):
    """A sampler that transformers can call as one of its own decoding methods."""

    @abstractmethod
    def _recipe(self) -> Recipe:
        """The model, and the parts as they are now."""

    def __call__(
        self,
        model: PreTrainedModel,
        input_ids: Int[Tensor, "rows length"],
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        *,
        seed: int = 0,
        beta: Beta | None = None,
        callbacks: Sequence[Callback] = (),
        streamer: BaseStreamer | None = None,
        synced_gpus: bool = False,
        **model_kwargs: Any,
    ) -> GenerateDecoderOnlyOutput | Tensor:
        """What `model.generate(..., custom_generate=sampler)` calls, with everything prepared as for its own methods.

        The samples are those of `generate` for the same prompts, seed and settings. `seed`, `beta` and `callbacks` may
        be given to `model.generate`, as its other arguments are; see the page "Inside model.generate".

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: something is asked for that ESamp refuses; the message names it.
        """
        recipe = self._recipe()
        call = GenerateCall(
            recipe.engine,
            model,
            input_ids,
            logits_processor,
            stopping_criteria,
            generation_config,
            model_kwargs | {"synced_gpus": synced_gpus},
            prefilter=recipe.prefilter,
            streamer=streamer,
        )
        request = recipe.request(
            call.prompts,
            n=call.n,
            max_new_tokens=call.max_new_tokens,
            filters=call.filters,
            seed=seed,
            beta=beta,
            waves=1,
            stop=(),
            ignore_eos=True,
            chat=False,
            batch_size=None,
            supervisor=call,
        )
        recipe.run(replace(request, eos=call.eos), None, check_callbacks(callbacks))
        return call.output()
