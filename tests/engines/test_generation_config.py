"""Every field of GenerationConfig is honoured, refused by name, or known to say nothing: none is ignored silently."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import CompileConfig, GenerationConfig, WatermarkingConfig

from esamp import ESampSampler
from esamp.engines.huggingface.generation_config import FIELDS, Treatment, check_generation_config
from esamp.testing.models import tiny_model, tiny_tokenizer
from tests.engines.generated import generated

TOKENIZER = tiny_tokenizer()
PROMPTS = ["Once upon a time", "Hi"]
MODEL = tiny_model()
N = 4
LENGTH = TOKENIZER(PROMPTS, padding=True, return_tensors="pt")["input_ids"].shape[1]

HONOURED: dict[str, dict[str, Any]] = {
    "max_length": {"max_length": LENGTH + 7, "max_new_tokens": None},
    "max_new_tokens": {"max_new_tokens": 5},
    "max_time": {"max_time": 0.0},
    "eos_token_id": {"eos_token_id": list(range(100, 140))},
    "pad_token_id": {"eos_token_id": list(range(100, 140)), "pad_token_id": 9},
    "temperature": {"temperature": 0.6},
    "top_k": {"top_k": 4},
    "top_p": {"top_p": 0.6},
    "min_p": {"min_p": 0.3},
    "top_h": {"top_h": 0.5},
    "typical_p": {"typical_p": 0.5, "temperature": 1.2, "top_k": 0},
    "epsilon_cutoff": {"epsilon_cutoff": 0.05},
    "eta_cutoff": {"eta_cutoff": 0.2, "min_p": 0.01},
    "min_length": {"min_length": LENGTH + 6, "eos_token_id": list(range(100, 140))},
    "min_new_tokens": {"min_new_tokens": 6, "eos_token_id": list(range(100, 140))},
    "repetition_penalty": {"repetition_penalty": 3.0},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 1},
    "bad_words_ids": {"bad_words_ids": [[token] for token in range(4, 130)]},
    "sequence_bias": {"sequence_bias": [[[77], 6.0]]},
    "suppress_tokens": {"suppress_tokens": list(range(4, 130))},
    "begin_suppress_tokens": {"begin_suppress_tokens": list(range(4, 250))},
    "forced_eos_token_id": {"forced_eos_token_id": 66},
    "exponential_decay_length_penalty": {"exponential_decay_length_penalty": (2, 3.0)},
    "remove_invalid_values": {"remove_invalid_values": True, "bad_words_ids": [[token] for token in range(4, 130)]},
    "renormalize_logits": {"renormalize_logits": True},
    "output_scores": {"output_scores": True, "return_dict_in_generate": True},
    "output_logits": {"output_logits": True, "return_dict_in_generate": True},
    "return_dict_in_generate": {"return_dict_in_generate": True},
    "num_return_sequences": {"num_return_sequences": 2},
    "bos_token_id": {"bos_token_id": 8},
    "forced_bos_token_id": {"forced_bos_token_id": 8},
}
# They change the object that comes back, or only a prompt of no or of one token, or logits that are not finite.
SAME_TOKENS = {
    "remove_invalid_values",
    "renormalize_logits",
    "output_scores",
    "output_logits",
    "return_dict_in_generate",
    "bos_token_id",
    "forced_bos_token_id",
}
REFUSED: dict[str, Any] = {
    "do_sample": False,
    "num_beams": 4,
    "num_beam_groups": 2,
    "diversity_penalty": 0.5,
    "constraints": ["a constraint"],
    "force_words_ids": [[5]],
    "penalty_alpha": 0.6,
    "dola_layers": "low",
    "use_mtp": True,
    "is_assistant": True,
    "prompt_lookup_num_tokens": 3,
    "assistant_early_exit": 1,
    "assistant_ensemble_weight": 0.5,
    "speculation_type": "dflash",
    "guidance_scale": 1.5,
    "watermarking_config": WatermarkingConfig(),
    "encoder_repetition_penalty": 1.5,
    "encoder_no_repeat_ngram_size": 2,
    "stop_strings": ["x"],
    "token_healing": True,
    "use_cache": False,
    "cache_implementation": "static",
    "cache_config": {"nbits": 4},
    "prefill_chunk_size": 2,
    "compile_config": CompileConfig(),
    "continuous_batching_config": {"block_size": 8},
    "output_attentions": True,
    "output_hidden_states": True,
}


def of(treatment: Treatment) -> set[str]:
    return {name for name, field in FIELDS.items() if field.treatment is treatment}


def inside(prompts: list[str] = PROMPTS, **settings: Any) -> Any:
    sampler = ESampSampler(MODEL, TOKENIZER, beta=0.0)
    inputs = TOKENIZER(prompts, padding=True, return_tensors="pt", return_token_type_ids=False)
    given = {"do_sample": True, "num_return_sequences": N, "max_new_tokens": 10} | settings
    return MODEL.generate(**inputs, custom_generate=sampler, **given)


def sequences(output: Any) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else output.sequences


def test_every_field_of_transformers_is_known() -> None:
    fields = {name for name in vars(GenerationConfig()) if name == "_from_model_config" or not name.startswith("_")}
    assert fields <= FIELDS.keys()  # an older release may lack some


def test_every_known_field_is_tried_here() -> None:
    assert of(Treatment.HONOURED) == HONOURED.keys()
    assert of(Treatment.REFUSED) == REFUSED.keys()


def test_a_default_configuration_that_samples_asks_for_nothing_that_is_refused() -> None:
    config = GenerationConfig(do_sample=True)
    check_generation_config(config)
    config.update(**GenerationConfig._get_default_generation_params(), defaults_only=True)
    check_generation_config(config)


@pytest.mark.parametrize("name", sorted(of(Treatment.HONOURED)))
def test_an_honoured_field_does_what_it_does_in_transformers(name: str) -> None:
    settings = {"max_new_tokens": 10} | HONOURED[name]
    n = settings.pop("num_return_sequences", N)
    wanted = sequences(generated(MODEL, TOKENIZER, PROMPTS, n=n, **settings))
    assert torch.equal(sequences(inside(num_return_sequences=n, **settings)), wanted)
    without = {key: value for key, value in settings.items() if key != name} | {"max_new_tokens": 10}
    plain = sequences(generated(MODEL, TOKENIZER, PROMPTS, n=N, **without))
    assert torch.equal(plain, wanted) is (name in SAME_TOKENS)


def test_scores_and_logits_are_those_of_transformers() -> None:
    settings = {"return_dict_in_generate": True, "output_scores": True, "output_logits": True, "max_new_tokens": 10}
    for more in ({"temperature": 0.7}, {"typical_p": 0.9, "repetition_penalty": 1.5}, {"renormalize_logits": True}):
        wanted = generated(MODEL, TOKENIZER, PROMPTS, n=N, **settings, **more)
        got = inside(**settings, **more)
        torch.testing.assert_close(got.logits, wanted.logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(got.scores, wanted.scores, rtol=1e-4, atol=1e-4)


def test_an_empty_prompt_and_one_of_one_token_begin_as_in_transformers() -> None:
    sampler = ESampSampler(MODEL, TOKENIZER, beta=0.0)
    empty = MODEL.generate(custom_generate=sampler, do_sample=True, max_new_tokens=4, bos_token_id=8)
    assert empty[:, 0].tolist() == [8]
    one = torch.tensor([[2]])
    forced = MODEL.generate(one, custom_generate=sampler, do_sample=True, max_new_tokens=4, forced_bos_token_id=8)
    assert forced[:, 1].tolist() == [8]


@pytest.mark.parametrize("name", sorted(of(Treatment.REFUSED)))
def test_a_refused_field_is_named_with_its_value_and_the_way_out(name: str) -> None:
    config = GenerationConfig(do_sample=True)
    setattr(config, name, REFUSED[name])
    with pytest.raises(
        ValueError, match=rf"^{name} must be .* with ESampSampler as custom_generate, got .*: .*; "
    ) as info:
        check_generation_config(config)
    assert repr(REFUSED[name]) in str(info.value)
    for neutral in FIELDS[name].neutral:
        setattr(config, name, neutral)
        check_generation_config(config)


@pytest.mark.parametrize("name", sorted(of(Treatment.REFUSED)))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_it_is_refused_in_generate_too(name: str) -> None:
    # Of some of them transformers itself says that they cannot be done here, before the sampler is asked.
    with pytest.raises((ValueError, TypeError), match=rf"{name}|{name.replace('_', ' ')}"):
        inside(num_return_sequences=1, **{name: REFUSED[name]})


def test_a_field_of_a_newer_transformers_is_refused_until_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    init = GenerationConfig.__init__

    def newer(self: GenerationConfig, **values: Any) -> None:
        init(self, **{name: value for name, value in values.items() if name != "sparkle"})
        self.sparkle = values.get("sparkle")

    monkeypatch.setattr(GenerationConfig, "__init__", newer)
    check_generation_config(GenerationConfig(do_sample=True))
    with pytest.raises(ValueError, match=r"^sparkle must be None .*, got 3: it is a field of a newer transformers"):
        check_generation_config(GenerationConfig(do_sample=True, sparkle=3))


def test_attributes_that_transformers_does_not_define_are_left_alone() -> None:
    check_generation_config(GenerationConfig(do_sample=True, chat_format="chatml"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"min_p": 1.0}, r"^min_p must be .*got 1\.0"), ({"max_new_tokens": 300}, r"^max_new_tokens must be at most")],
)
def test_a_value_out_of_range_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inside(**settings)
