from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from esamp import (
    BetaMix,
    ESampSampler,
    Filters,
    GenerationResult,
    MLPDistiller,
    SynchronousScheduler,
)
from esamp.testing.models import tiny_model
from tests.engines.plain import explore_plainly, last_logits, warpers

PROMPT = "Once upon a time"


def tokens_of(result: GenerationResult) -> list[list[list[int]]]:
    return [[sample.token_ids.tolist() for sample in samples] for samples in result.samples]


def distiller() -> MLPDistiller:
    # Fast enough to be felt within a few tokens.
    return MLPDistiller(width=8, lr=0.01)


@pytest.fixture(scope="module")
def sampler(tokenizer: PreTrainedTokenizerFast) -> ESampSampler:
    return ESampSampler(tiny_model(), tokenizer, distiller=distiller(), beta=0.5)


@pytest.mark.parametrize(
    "parts",
    [
        {"distiller": "mlp", "fusion": "beta_mix", "scheduler": "synchronous"},
        {"distiller": "MLPDistiller", "fusion": "BetaMix", "scheduler": "SynchronousScheduler"},
        {"distiller": MLPDistiller, "fusion": BetaMix, "scheduler": SynchronousScheduler},
        {"distiller": MLPDistiller(), "fusion": BetaMix(), "scheduler": SynchronousScheduler()},
        {"distiller": "esamp.distillers.mlp.MLPDistiller", "fusion": "esamp.fusion.BetaMix"},
    ],
    ids=["registry names", "class names", "classes", "instances", "dotted paths"],
)
def test_parts_can_be_asked_for_in_any_way(tokenizer: PreTrainedTokenizerFast, parts: dict[str, Any]) -> None:
    sampler = ESampSampler(tiny_model(), tokenizer, **parts)
    assert type(sampler.distiller) is MLPDistiller
    assert type(sampler.fusion) is BetaMix
    assert type(sampler.scheduler) is SynchronousScheduler
    settings = sampler.generate(PROMPT, n=2, max_new_tokens=3).settings
    assert (settings["distiller"], settings["fusion"], settings["scheduler"]) == ("mlp", "beta_mix", "synchronous")


def test_the_defaults_are_the_documented_ones(tokenizer: PreTrainedTokenizerFast) -> None:
    settings = ESampSampler(tiny_model(), tokenizer).generate(PROMPT, n=2, max_new_tokens=3).settings
    wanted = {
        "distiller": "recursive_least_squares",
        "fusion": "beta_mix",
        "scheduler": "synchronous",
        "sharing": "per_prompt",
        "beta": 0.25,
        "min_p": 0.05,
        "waves": 1,
    }
    assert {name: settings[name] for name in wanted} == wanted


def test_a_model_saved_in_a_folder_is_loaded_from_it(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = tiny_model("llama", seed=1)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    wanted = ESampSampler(model, tokenizer, distiller=distiller()).generate(PROMPT, n=2, max_new_tokens=6)
    for path in (tmp_path, str(tmp_path)):
        sampler = ESampSampler.from_pretrained(path, distiller=distiller(), device="cpu")
        assert not sampler.engine.model.training
        assert tokens_of(sampler.generate(PROMPT, n=2, max_new_tokens=6)) == tokens_of(wanted)
    half = ESampSampler.from_pretrained(tmp_path, dtype="bfloat16")
    assert half.engine.head.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("filtering", ["post-filter", "pre-filter"])
@pytest.mark.parametrize("family", ["llama", "gemma2", "granite", "phi"])
def test_tokens_are_those_of_the_method_written_out(
    tokenizer: PreTrainedTokenizerFast, family: str, filtering: str
) -> None:
    model = tiny_model(family)
    filters = Filters(temperature=0.9, top_p=0.95, min_p=0.02)
    beta = torch.tensor([0.0, 0.3, 0.6, 1.0])
    sampler = ESampSampler(model, tokenizer, distiller=distiller(), filtering=filtering, warmup=2)
    result = sampler.generate(PROMPT, n=4, max_new_tokens=12, temperature=0.9, top_p=0.95, min_p=0.02, beta=beta)
    tokens = explore_plainly(
        model,
        tokenizer(PROMPT)["input_ids"],
        distiller(),
        beta,
        12,
        filters=filters,
        warmup=2,
        prefilter=filtering == "pre-filter",
        eos=[tokenizer.eos_token_id],
    )
    assert tokens_of(result)[0] == tokens


def test_token_ids_are_prompts_too(sampler: ESampSampler, tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [PROMPT, "Hi"]
    ids = tokenizer(texts)["input_ids"]
    by_text, by_ids = (sampler.generate(given, n=3, max_new_tokens=8) for given in (texts, ids))
    assert tokens_of(by_ids) == tokens_of(by_text)
    assert by_ids.prompts == ["<bos>" + text for text in texts]
    assert tokens_of(sampler.generate(ids[0], n=3, max_new_tokens=8, chat=True)) == tokens_of(by_text)[:1]


def test_the_same_seed_gives_the_same_samples_and_another_seed_others(sampler: ESampSampler) -> None:
    first, again, other = (sampler.generate([PROMPT, "Hi"], n=3, max_new_tokens=12, seed=seed) for seed in (7, 7, 8))
    assert tokens_of(first) == tokens_of(again)
    for one, two in zip(first.samples[0], again.samples[0], strict=True):
        assert torch.equal(one.log_probs, two.log_probs)
        assert torch.equal(one.novelty, two.novelty)
    assert torch.equal(first.diagnostics.loss.nan_to_num(), again.diagnostics.loss.nan_to_num())
    assert all(mine != yours for mine, yours in zip(tokens_of(first)[0], tokens_of(other)[0], strict=True))


def test_the_largest_seed_is_a_seed(sampler: ESampSampler) -> None:
    largest, zero = (sampler.generate(PROMPT, n=2, max_new_tokens=8, seed=seed) for seed in (2**63 - 1, 0))
    assert tokens_of(largest) != tokens_of(zero)


def test_the_distiller_given_is_a_recipe_and_never_touched(tokenizer: PreTrainedTokenizerFast) -> None:
    given = distiller()
    sampler = ESampSampler(tiny_model(), tokenizer, distiller=given)
    sampler.generate(PROMPT, n=2, max_new_tokens=6)
    assert sampler.distiller is given
    assert list(given.state_dict()) == []


def test_the_global_generators_are_left_alone(sampler: ESampSampler) -> None:
    before = torch.get_rng_state()
    sampler.generate(PROMPT, n=2, max_new_tokens=6)
    assert torch.equal(torch.get_rng_state(), before)


def test_exploring_changes_the_samples_after_the_warmup(sampler: ESampSampler) -> None:
    plain = tokens_of(sampler.generate(PROMPT, n=6, max_new_tokens=12, beta=0))[0]
    explored = tokens_of(sampler.generate(PROMPT, n=6, max_new_tokens=12, beta=1.0))[0]
    assert [tokens[0] for tokens in explored] == [tokens[0] for tokens in plain]
    assert explored != plain


def test_a_tensor_of_zeros_watches_and_steers_nothing(sampler: ESampSampler) -> None:
    plain = sampler.generate([PROMPT, "Hi"], n=3, max_new_tokens=12, beta=0)
    watched = sampler.generate([PROMPT, "Hi"], n=3, max_new_tokens=12, beta=torch.zeros(2, 3))
    assert tokens_of(watched) == tokens_of(plain)
    for seen, unseen in zip(watched.samples[0], plain.samples[0], strict=True):
        assert torch.equal(seen.log_probs, unseen.log_probs)
        assert (seen.kl == 0).all()
        assert seen.novelty.isfinite().all()
        assert (seen.novelty > 0).all()
        assert unseen.novelty.isnan().all()
        assert (unseen.kl == 0).all()
    assert plain.diagnostics.loss.isnan().all()
    # What the distiller learns makes its error smaller than at the start.
    loss = watched.diagnostics.loss[0]
    assert loss[loss.isfinite()][-1] < loss[0]


def test_beta_may_differ_by_sample_and_by_prompt(sampler: ESampSampler) -> None:
    prompts = [PROMPT, "Hi"]
    by_sample = sampler.generate(prompts, n=2, max_new_tokens=8, beta=torch.tensor([0.0, 1.0]))
    for samples in by_sample.samples:
        assert (samples[0].kl == 0).all()
        assert (samples[1].kl > 0).any()
    by_prompt = sampler.generate(prompts, n=2, max_new_tokens=8, beta=torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert all((sample.kl == 0).all() for sample in by_prompt.samples[0])
    assert all((sample.kl > 0).any() for sample in by_prompt.samples[1])
    assert by_prompt.settings["beta"] == [[0.0, 0.0], [1.0, 1.0]]
    apart = sampler.generate(prompts, n=2, max_new_tokens=8, beta=torch.tensor([[0.0, 0.0], [1.0, 1.0]]), batch_size=1)
    assert tokens_of(apart) == tokens_of(by_prompt)
    assert sampler.generate(prompts, n=2, max_new_tokens=2, beta=torch.full((2,), 0.25)).settings["beta"] == 0.25


@pytest.mark.parametrize("filtering", ["post-filter", "pre-filter"])
def test_log_probs_are_the_models_own(tokenizer: PreTrainedTokenizerFast, filtering: str) -> None:
    model = tiny_model("gemma2")
    sampler = ESampSampler(model, tokenizer, distiller=distiller(), beta=0.5, filtering=filtering)
    filters = Filters(temperature=1.2, top_k=30, min_p=0.02)
    result = sampler.generate(PROMPT, n=3, max_new_tokens=10, temperature=1.2, top_k=30, min_p=0.02)
    prompt = tokenizer(PROMPT)["input_ids"]
    for sample in result.samples[0]:
        tokens = sample.token_ids.tolist()
        logits = torch.stack([last_logits(model, prompt + tokens[:step]) for step in range(len(tokens))])
        drawn = sample.token_ids.unsqueeze(-1)
        wanted = logits.log_softmax(-1).gather(-1, drawn).squeeze(-1)
        torch.testing.assert_close(sample.reference_log_probs, wanted, rtol=1e-3, atol=1e-3)
        filtered = warpers(filters)(torch.zeros(1, 1), logits)
        unsteered = filtered.log_softmax(-1).gather(-1, drawn).squeeze(-1)
        # Before the warm-up is over there is no fusion; afterwards there is, within the same candidates.
        torch.testing.assert_close(sample.log_probs[0], unsteered[0], rtol=1e-3, atol=1e-3)
        assert not torch.allclose(sample.log_probs[1:], unsteered[1:], atol=1e-2)
        if filtering == "post-filter":
            assert sample.candidates.tolist() == (filtered > -torch.inf).sum(-1).tolist()


def test_describe_tells_the_stages_in_their_order(tokenizer: PreTrainedTokenizerFast) -> None:
    def order(filtering: str) -> list[str]:
        sampler = ESampSampler(tiny_model(), tokenizer, distiller="mlp", beta=0.3, filtering=filtering)
        lines = sampler.describe(Filters(temperature=0.7, top_k=9)).splitlines()
        assert [line.partition(". ")[0] for line in lines] == [str(number) for number in range(1, len(lines) + 1)]
        assert "LlamaForCausalLM" in lines[0]
        assert "MLPDistiller" in lines[1]
        assert "temperature 0.7, top_k 9" in "".join(lines)
        assert "beta = 0.3" in "".join(lines)
        return [line.partition(". ")[2].split()[0].rstrip(":,") for line in lines]

    common = ["tap", "predict", "tap"]
    assert order("post-filter") == [*common, "candidates", "fusion", "draw", "learn"]
    assert order("pre-filter") == [*common, "fusion", "candidates", "draw", "learn"]


def test_a_sample_survives_json(sampler: ESampSampler) -> None:
    result = sampler.generate([PROMPT, "Hi"], n=2, max_new_tokens=6, beta=0)
    for sample in (sample for samples in result.samples for sample in samples):
        read = json.loads(json.dumps(sample.to_dict(), allow_nan=False))
        assert (read["prompt"], read["index"], read["text"]) == (sample.prompt, sample.index, sample.text)
        assert read["token_ids"] == sample.token_ids.tolist()
        assert read["log_probs"] == pytest.approx(sample.log_probs.tolist())
        assert read["novelty"] == [None] * len(sample.token_ids)
    assert json.loads(json.dumps(result.settings, allow_nan=False)) == result.settings


def test_the_result_is_ordered_by_prompt_and_sample(sampler: ESampSampler) -> None:
    result = sampler.generate([PROMPT, "Hi"], n=4, max_new_tokens=10)
    assert result.prompts == [PROMPT, "Hi"]
    for prompt, samples in enumerate(result.samples):
        assert [(sample.prompt, sample.index) for sample in samples] == [(prompt, index) for index in range(4)]
    assert result.texts == [[sample.text for sample in samples] for samples in result.samples]
    assert result.tokens == sum(len(sample.token_ids) for samples in result.samples for sample in samples)
    assert all(math.isfinite(value) for value in result.samples[0][0].log_probs.tolist())


def test_messages_and_chat_strings_go_through_the_template_and_raw_text_does_not(
    sampler: ESampSampler, tokenizer: PreTrainedTokenizerFast
) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    settings: dict[str, Any] = {"n": 2, "max_new_tokens": 4}
    as_messages, as_chat = sampler.generate(messages, **settings), sampler.generate("Hi", chat=True, **settings)
    raw, both = sampler.generate("Hi", **settings), sampler.generate(["Hi", messages], **settings)
    assert as_messages.prompts == as_chat.prompts == ["<bos>user: Hi\nassistant: "]
    assert raw.prompts == ["Hi"]
    assert tokens_of(as_messages) == tokens_of(as_chat)
    assert tokens_of(both) == [*tokens_of(raw), *tokens_of(as_messages)]
    # One beginning-of-sequence token, not the template's and the tokenizer's.
    encoded = sampler.engine.encode(as_chat.prompts[0], templated=True)
    assert encoded.count(tokenizer.bos_token_id) == 1
