"""One call of `model.generate(custom_generate=sampler)`: what it hands over, and what it wants back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, StoppingCriteriaList
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria, MaxTimeCriteria
from transformers.generation.streamers import BaseStreamer
from transformers.generation.utils import GenerateDecoderOnlyOutput
from typing_extensions import override

from esamp.candidates import Filters
from esamp.engines.huggingface.caller import argument_of_generate
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.expanded import check_arguments, check_positions, prompts_of
from esamp.engines.huggingface.generation_config import check_generation_config, filters_of, warpers_of
from esamp.engines.huggingface.processors import split_processors
from esamp.engines.huggingface.sharding import check_sharding
from esamp.engines.huggingface.supervisor import Supervisor
from esamp.policy import Drawn, Fused

__all__ = ["GenerateCall"]


@final
class GenerateCall(Supervisor):
    """Supervises the decode loop for `generate`: processors, stopping criteria, streamer, and the output it gives.

    Processors and criteria see all rows, as transformers shows them: some keep a state for each row.

    Args:
        engine: the sampler's.
        model: the model whose `generate` is running.
        input_ids: the prompts, each `num_return_sequences` times in a row, int64 [rows, length].
        processors: as `generate` prepared them.
        criteria: as `generate` prepared them.
        config: as `generate` prepared it.
        arguments: the rest of what `generate` would pass to the model.
        prefilter: fusion acts before the filters.
        streamer: is shown each step's tokens; None: the one that `generate` was given, if any.

    Raises:
        ValueError: something is asked for that ESamp refuses; the message names it.

    Attributes:
        prompts: token ids of each prompt, without padding.
        n: samples of each prompt.
        max_new_tokens: longest sample.
        filters: temperature and filters.
        eos: token ids that end a sample.
    """

    def __init__(
        self,
        engine: HuggingFaceEngine,
        model: PreTrainedModel,
        input_ids: Int[Tensor, "rows length"],
        processors: LogitsProcessorList,
        criteria: StoppingCriteriaList,
        config: GenerationConfig,
        arguments: Mapping[str, Any],
        *,
        prefilter: bool = False,
        streamer: BaseStreamer | None = None,
    ) -> None:
        if model is not engine.model:
            raise ValueError(
                f"custom_generate must be a sampler of the model that generates, {type(model).__name__}, and this one "
                f"is of another {type(engine.model).__name__}; use ESampSampler(model, tokenizer)"
            )
        check_sharding(model)
        check_generation_config(config)
        check_arguments(arguments)
        self._processors, self._warpers = split_processors(processors, config)
        if prefilter and self._warpers:
            raise ValueError(
                f"filtering must be 'post-filter' beside {', '.join(warpers_of(config))}, got 'pre-filter'; "
                "leave one of them out"
            )
        self._criteria = criteria
        self._streamer = argument_of_generate("streamer") if streamer is None else streamer
        self.n: int = config.num_return_sequences or 1
        mask = arguments.get("attention_mask")
        self.prompts: list[list[int]] = prompts_of(input_ids, mask, self.n)
        check_positions(arguments.get("position_ids"), input_ids, mask)
        if len({len(prompt) for prompt in self.prompts}) > 1 and not engine.pads_left:
            raise ValueError(
                f"input_ids must hold prompts of one length, since {type(model).__name__} gives other logits beside "
                "padding; generate for one prompt at a time"
            )
        length = input_ids.shape[1]
        # The criteria have the last word, as in transformers: a user's own of length replaces the configured one.
        self.max_new_tokens: int = (criteria.max_length or config.max_length or 0) - length
        self.filters: Filters = filters_of(config, engine.head.vocabulary)
        self.eos: frozenset[int] = frozenset(
            int(token)
            for criterion in criteria
            if isinstance(criterion, EosTokenCriteria)
            for token in criterion.eos_token_id
        )
        pad = _padding(config, criteria)
        self._sequences = torch.full((len(input_ids), length + self.max_new_tokens), pad, device=input_ids.device)
        self._sequences[:, :length] = input_ids
        self._length = length
        self._renormalize = bool(config.renormalize_logits)
        self._as_dict = bool(config.return_dict_in_generate)
        self._scores: Any = () if self._as_dict and config.output_scores else None
        self._logits: Any = () if self._as_dict and config.output_logits else None
        # A row that has ended draws its padding for certain.
        self._ended_scores = torch.full((engine.head.vocabulary,), -torch.inf, device=input_ids.device)
        self._ended_scores[pad] = 0.0

    @override
    def treat(self, place: Int[Tensor, " rows"], logits: Float[Tensor, "rows vocab"]) -> Float[Tensor, "rows vocab"]:
        if not self._processors and not self._warpers:
            return logits
        rows = self._all_rows(place, logits)
        text: Any = self._sequences[:, : self._length]
        treated = self._processors(text, rows) if self._processors else rows
        # What InfNanRemoveLogitsProcessor makes of -inf is as forbidden as before.
        treated = treated.masked_fill(treated <= torch.finfo(torch.float32).min, -torch.inf)
        if self._warpers:
            treated = treated.masked_fill(self._warpers(text, treated) == -torch.inf, -torch.inf)
        return treated[place.to(treated.device)].to(logits.device)

    @override
    def ended(
        self, place: Int[Tensor, " rows"], logits: Float[Tensor, "rows vocab"], fused: Fused, drawn: Drawn
    ) -> Collection[int]:
        at = place.to(self._sequences.device)
        self._sequences[at, self._length] = drawn.tokens.to(at.device)
        if self._scores is not None:
            self._scores += (self._all_rows(place, self._spread(fused, logits)),)
        if self._logits is not None:
            self._logits += (self._all_rows(place, logits),)
        self._length += 1
        text: Any = self._sequences[:, : self._length]
        done = self._criteria(text, self._scores)
        if self._streamer is not None:
            self._streamer.put(self._sequences[:, self._length - 1].cpu())
        return done[at].nonzero().flatten().tolist()

    def output(self) -> GenerateDecoderOnlyOutput | Tensor:
        """What `generate` returns, once the loop is over."""
        if self._streamer is not None:
            self._streamer.end()
        sequences: Any = self._sequences[:, : self._length]
        if not self._as_dict:
            return sequences
        return GenerateDecoderOnlyOutput(sequences=sequences, scores=self._scores, logits=self._logits)

    def _all_rows(self, place: Tensor, values: Tensor) -> Tensor:
        """Values of the living rows among those of all rows."""
        rows = self._ended_scores.repeat(len(self._sequences), 1)
        rows[place.to(rows.device)] = values.to(rows.device)
        return rows

    def _spread(self, fused: Fused, logits: Tensor) -> Tensor:
        """The distributions drawn from, over the whole vocabulary: fused logits / T, or their log-probabilities."""
        candidates = fused.candidates
        scores = fused.log_probs if self._renormalize else fused.logits / float(self.filters.temperature)  # pyright: ignore[reportArgumentType]
        row, place = candidates.mask.nonzero(as_tuple=True)
        spread = torch.full_like(logits, -torch.inf)
        spread[row, candidates.ids[row, place]] = scores[row, place]
        return spread


def _padding(config: GenerationConfig, criteria: StoppingCriteriaList) -> int:
    pad = config._pad_token_tensor  # pyright: ignore[reportPrivateUsage]  (where `generate` puts it for its methods)
    if pad is not None:
        return int(pad)
    if all(isinstance(criterion, MaxLengthCriteria | MaxTimeCriteria) for criterion in criteria):
        return 0  # all rows end together
    raise ValueError(
        "pad_token_id must be set where stopping_criteria may end samples before others, got None; "
        "pass pad_token_id=tokenizer.pad_token_id"
    )
