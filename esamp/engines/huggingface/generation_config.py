"""What becomes of every field of transformers' GenerationConfig inside `model.generate(custom_generate=sampler)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from transformers import GenerationConfig

from esamp.candidates import Filters

__all__ = ["FIELDS", "Field", "Treatment", "check_generation_config", "filters_of", "table", "warpers_of"]


class Treatment(Enum):
    """What is done with a field."""

    HONOURED = "honoured"
    REFUSED = "refused"
    IRRELEVANT = "irrelevant"


@dataclass(frozen=True)
class Field:
    """One field of GenerationConfig.

    Attributes:
        treatment: what is done with it.
        how: how it is honoured, why it is refused and what to do instead, or why it says nothing here.
        neutral: of a refused field, the values that ask for nothing.
    """

    treatment: Treatment
    how: str
    neutral: tuple[Any, ...] = (None,)


def _honoured(how: str, *names: str) -> dict[str, Field]:
    return {name: Field(Treatment.HONOURED, how) for name in names}


def _refused(how: str, *names: str, neutral: tuple[Any, ...] = (None,)) -> dict[str, Field]:
    return {name: Field(Treatment.REFUSED, how, neutral) for name in names}


def _irrelevant(how: str, *names: str) -> dict[str, Field]:
    return {name: Field(Treatment.IRRELEVANT, how) for name in names}


_PROCESSOR = "its logits processor acts on the LLM's logits, before candidates are chosen"
_BEAMS = "beams are searched, not sampled; leave it out"
_ASSISTED = "assisted decoding proposes tokens that ESamp has not seen; leave it out"
_CACHE = "rows are repeated and leave, in a cache of ESamp's own; leave it out, or see ESampSampler(..., compiled=True)"
_ENCODER = "it reads an encoder's input, and ESamp decodes decoder-only models; leave it out"
_INNER = "no forward keeps the inner states of all layers, and rows leave when they end; leave it out"

FIELDS: Mapping[str, Field] = MappingProxyType(
    _honoured("longest sample, from the padded prompt's end", "max_length", "max_new_tokens")
    | _honoured("a stopping criterion", "max_time")
    | _honoured("the end-of-sequence criterion; the tokenizer's own id does not count", "eos_token_id")
    | _honoured("fills a sequence that has ended", "pad_token_id")
    | _honoured("transformers starts an empty prompt with it", "bos_token_id")
    | _honoured("n, the samples of a prompt, which share one distiller", "num_return_sequences")
    | _honoured("temperature of the candidates and of the draw", "temperature")
    | _honoured(
        "a filter on the reference logits; transformers' default for top_k is 50",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "epsilon_cutoff",
        "eta_cutoff",
    )
    | _honoured("transformers' own warpers choose the candidates", "top_h")
    | _honoured(
        _PROCESSOR,
        "min_length",
        "min_new_tokens",
        "repetition_penalty",
        "no_repeat_ngram_size",
        "bad_words_ids",
        "sequence_bias",
        "suppress_tokens",
        "begin_suppress_tokens",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "exponential_decay_length_penalty",
        "remove_invalid_values",
    )
    | _honoured("output_scores become log-probabilities", "renormalize_logits")
    | _honoured("an output object, whose past_key_values is None", "return_dict_in_generate")
    | _honoured("log-probabilities drawn from, up to a constant: fused logits / temperature", "output_scores")
    | _honoured("the LLM's own logits", "output_logits")
    | _refused("greedy decoding has nothing to explore; set do_sample=True", "do_sample", neutral=(True,))
    | _refused(_BEAMS, "num_beams", neutral=(None, 1))
    | _refused(_BEAMS, "num_beam_groups", neutral=(None, 1))
    | _refused(_BEAMS, "diversity_penalty", neutral=(None, 0.0))
    | _refused(_BEAMS, "constraints", "force_words_ids")
    | _refused("contrastive search does not sample; leave it out", "penalty_alpha", neutral=(None, 0.0))
    | _refused("DoLa mixes in the logits of other layers, which ESamp does not see; leave it out", "dola_layers")
    | _refused(_ASSISTED, "use_mtp", "is_assistant", neutral=(None, False))
    | _refused(
        _ASSISTED, "prompt_lookup_num_tokens", "assistant_early_exit", "assistant_ensemble_weight", "speculation_type"
    )
    | _refused(
        "guidance calls the model a second time in every step, in the midst of ESamp's; leave it out",
        "guidance_scale",
        neutral=(None, 1),
    )
    | _refused("a watermark must be added after the fusion, and would be tilted; leave it out", "watermarking_config")
    | _refused(_ENCODER, "encoder_repetition_penalty", neutral=(None, 1.0))
    | _refused(_ENCODER, "encoder_no_repeat_ngram_size", neutral=(None, 0))
    | _refused(
        "transformers keeps the tokenizer from a custom_generate; pass "
        "stopping_criteria=[StopStringCriteria(tokenizer, strings)]",
        "stop_strings",
    )
    | _refused(
        "transformers keeps the tokenizer from a custom_generate; heal the prompt first with model.heal_tokens",
        "token_healing",
        neutral=(None, False),
    )
    | _refused("ESamp decodes from a cache; leave it out", "use_cache", neutral=(None, True))
    | _refused(_CACHE, "cache_implementation", neutral=(None, "dynamic"))
    | _refused(_CACHE, "cache_config")
    | _refused("prompts are prefilled in one forward; leave it out", "prefill_chunk_size")
    | _refused("the sampler compiles: ESampSampler(..., compiled=CompileConfig(...)); leave it out", "compile_config")
    | _refused("it is an argument of generate_batch; leave it out", "continuous_batching_config")
    | _refused(_INNER, "output_attentions", "output_hidden_states", neutral=(None, False))
    | _irrelevant("only beams read it, and they are refused", "early_stopping", "length_penalty")
    | _irrelevant("only contrastive search reads it, which is refused", "low_memory")
    | _irrelevant(
        "only assisted decoding reads it, which is refused",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "assistant_confidence_threshold",
        "max_matching_ngram_size",
        "assistant_lookbehind",
        "target_lookbehind",
    )
    | _irrelevant("only encoder-decoders read it, and they are refused", "decoder_start_token_id")
    | _irrelevant("only static caches read it, and they are refused", "max_cache_len")
    | _irrelevant("the sampler says whether anything is compiled", "disable_compile")
    | _irrelevant("where the configuration came from", "_from_model_config", "transformers_version")
)
"""Every field of GenerationConfig; of transformers' releases known here none is left out."""

# Warpers that have no counterpart in `Filters`, and the values with which transformers leaves them out.
_OTHER_WARPERS = {"top_h": (None,)}


def check_generation_config(config: GenerationConfig) -> None:
    """Check that all that the configuration asks for can be done.

    Raises:
        ValueError: a field asks for what ESamp refuses, or is one of a newer transformers that is not known here.
    """
    asked = vars(config)
    for name, field in FIELDS.items():
        if field.treatment is Treatment.REFUSED and asked.get(name) not in field.neutral:
            raise ValueError(
                f"{name} must be {field.neutral[-1]!r} with ESampSampler as custom_generate, "
                f"got {asked.get(name)!r}: {field.how}"
            )
    # Attributes that transformers does not define are a user's own, and transformers ignores them too.
    for name in vars(GenerationConfig()).keys() - FIELDS.keys():
        if not _is_runtime_state(name) and asked.get(name) is not None:
            raise ValueError(
                f"{name} must be None with ESampSampler as custom_generate, got {asked[name]!r}: it is a field of a "
                "newer transformers than this esamp knows; leave it out or update esamp"
            )


def filters_of(config: GenerationConfig, vocabulary: int) -> Filters:
    """The filters that the configuration asks for.

    Where warpers are on that `Filters` does not have, the logits that come are -inf outside what all warpers keep, and
    the filters only list what is left.

    Raises:
        ValueError: a filter is out of range.
    """
    temperature = 1.0 if config.temperature is None else config.temperature
    if warpers_of(config):
        return Filters(temperature, top_k=config.top_k or vocabulary)
    return Filters(
        temperature,
        config.top_k or None,
        config.top_p,
        config.min_p,
        config.typical_p,
        config.epsilon_cutoff,
        config.eta_cutoff,
    )


def warpers_of(config: GenerationConfig) -> list[str]:
    """The fields that ask for warpers that `Filters` does not have."""
    return [name for name, off in _OTHER_WARPERS.items() if getattr(config, name, None) not in off]


def table() -> str:
    """The fields as a table in Markdown, a line for those that are treated alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, field in FIELDS.items():
        alike.setdefault((field.treatment.value, field.how), []).append(f"`{name}`")
    rows = [f"| {', '.join(names)} | {treatment} | {how} |" for (treatment, how), names in alike.items()]
    return "\n".join(["| field | | how, or why not |", "|---|---|---|", *rows])


def _is_runtime_state(name: str) -> bool:
    """Whether `generate` itself keeps something there while it runs."""
    return name.startswith("_") and name != "_from_model_config"
