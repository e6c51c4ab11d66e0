"""The decode loop through `ESampSampler.generate`, held to a plain loop without cache and batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from esamp import ESampSampler, Filters, GenerationResult, MLPDistiller
from esamp.testing.models import FAMILIES, tiny_model, tiny_tokenizer
from tests.engines.plain import sample_plainly

PROMPT = "Once upon a time there"  # more tokens than half the sliding window of the tiny Mistral
TOKENIZER = tiny_tokenizer()


def sampler_of(model: PreTrainedModel, **parts: Any) -> ESampSampler:
    return ESampSampler(model, TOKENIZER, distiller=MLPDistiller(width=8, lr=0.01), **parts)


def tokens_of(result: GenerationResult) -> list[list[list[int]]]:
    return [[sample.token_ids.tolist() for sample in samples] for samples in result.samples]


@contextmanager
def forwards(model: PreTrainedModel) -> Iterator[list[tuple[int, int]]]:
    """Shape of the input of every forward."""
    seen: list[tuple[int, int]] = []
    hook = model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    yield seen
    hook.remove()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "filters",
    [Filters(), Filters(temperature=0.7, top_k=20, top_p=0.9, min_p=0.02), Filters(temperature=1.5, min_p=0.1)],
    ids=lambda filters: filters.describe(),
)
def test_without_beta_tokens_and_log_probs_are_those_of_a_plain_loop(family: str, filters: Filters) -> None:
    model = tiny_model(family)
    result = sampler_of(model).generate(
        PROMPT,
        n=2,
        beta=0,
        max_new_tokens=12,
        seed=11,
        temperature=filters.temperature,
        top_k=filters.top_k,
        top_p=filters.top_p,
        min_p=filters.min_p,
    )
    prompt = TOKENIZER(PROMPT)["input_ids"]
    for sample in result.samples[0]:
        tokens, log_probs = sample_plainly(
            model, prompt, 12, filters=filters, seed=11, sample=sample.index, eos=[TOKENIZER.eos_token_id]
        )
        assert sample.token_ids.tolist() == tokens
        torch.testing.assert_close(sample.log_probs, torch.tensor(log_probs), rtol=1e-3, atol=1e-3)


def test_a_prompt_is_prefilled_once_and_then_one_token_a_row_goes_in() -> None:
    model = tiny_model()
    sampler = sampler_of(model)
    lengths = [len(TOKENIZER(text)["input_ids"]) for text in (PROMPT, "Hi")]
    assert sampler.engine.pads_left  # asked once, by forwards of its own
    with forwards(model) as seen:
        sampler.generate([PROMPT, "Hi"], n=5, max_new_tokens=4, ignore_eos=True)
    # The last token drawn is never forwarded.
    assert seen == [(2, max(lengths)), (10, 1), (10, 1), (10, 1)]


def test_with_one_new_token_the_prefill_is_the_only_forward() -> None:
    model = tiny_model()
    sampler = sampler_of(model)
    with forwards(model) as seen:
        result = sampler.generate(PROMPT, n=3, max_new_tokens=1)
    assert len(seen) == 1
    assert [sample.finish_reason for sample in result.samples[0]] == ["length"] * 3


@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize("family", ["llama", "gpt2", "mamba", "mistral"])
def test_finished_rows_leave_and_the_others_draw_the_same_tokens(family: str, beta: float) -> None:
    model = tiny_model(family)
    sampler = sampler_of(model, beta=beta)
    everything = tokens_of(sampler.generate(PROMPT, n=8, max_new_tokens=24, beta=0, ignore_eos=True))[0]
    # Tokens that some samples meet, at different times, end a sample from now on.
    ends = [everything[0][3], everything[1][9], everything[2][15]]
    model.generation_config.eos_token_id = ends
    with forwards(model) as seen:
        result = sampler.generate(PROMPT, n=8, max_new_tokens=24)
    samples = result.samples[0]
    for sample, whole in zip(samples, everything, strict=True):
        tokens = sample.token_ids.tolist()
        assert all(token not in ends for token in tokens[:-1])
        ended = tokens[-1] in {*ends, TOKENIZER.eos_token_id}
        assert sample.finish_reason == ("eos" if ended else "length")
        assert ended or len(tokens) == 24
        if beta == 0:
            assert tokens == whole[: len(tokens)]
    # At step t the rows forwarded are those with more than t tokens, less the ones that end there.
    longest = max(len(sample.token_ids) for sample in samples)
    going_on = [sum(len(sample.token_ids) > step for sample in samples) for step in range(1, longest)]
    assert [rows for rows, _ in seen[1:]] == going_on
    assert going_on[0] > going_on[-1]


def test_the_loss_is_recorded_while_a_prompt_has_rows_and_not_after() -> None:
    model = tiny_model()
    sampler = sampler_of(model)
    everything = tokens_of(sampler.generate([PROMPT, "Hi"], n=1, max_new_tokens=20, beta=0, ignore_eos=True))
    end = next(token for token in everything[0][0][2:15] if token not in everything[1][0])
    model.generation_config.eos_token_id = end
    result = sampler.generate([PROMPT, "Hi"], n=1, max_new_tokens=20, beta=torch.zeros(1))
    steps = [len(samples[0].token_ids) for samples in result.samples]
    assert steps[0] < steps[1]
    for loss, length in zip(result.diagnostics.loss, steps, strict=True):
        assert loss[:length].isfinite().all()
        assert loss[length:].isnan().all()


def test_eos_ids_come_from_the_configuration_and_the_tokenizer() -> None:
    model = tiny_model()
    model.generation_config.eos_token_id = [7, 9]
    engine = sampler_of(model).engine
    assert engine.eos_ids == {7, 9, TOKENIZER.eos_token_id}


def test_ignore_eos_goes_on_to_the_last_token() -> None:
    model = tiny_model()
    model.generation_config.eos_token_id = list(range(128))
    sampler = sampler_of(model)
    assert {sample.finish_reason for sample in sampler.generate(PROMPT, n=4).samples[0]} == {"eos"}
    result = sampler.generate(PROMPT, n=4, max_new_tokens=9, ignore_eos=True)
    assert [len(sample.token_ids) for sample in result.samples[0]] == [9] * 4
    assert {sample.finish_reason for sample in result.samples[0]} == {"length"}


def test_stop_strings_cut_the_text_and_keep_the_tokens() -> None:
    model = tiny_model()
    sampler = sampler_of(model)
    free = sampler.generate(PROMPT, n=4, max_new_tokens=20, beta=0, seed=3, ignore_eos=True)
    text = free.texts[0][0]
    stops = [text[5:7], free.texts[0][1][8:10]]
    result = sampler.generate(PROMPT, n=4, max_new_tokens=20, beta=0, seed=3, stop=stops, ignore_eos=True)
    assert result.samples[0][0].finish_reason == "stop"
    for sample, whole in zip(result.samples[0], free.samples[0], strict=True):
        cuts = [whole.text.find(stop) for stop in stops if stop in whole.text]
        assert sample.finish_reason == ("stop" if cuts else "length")
        assert sample.text == (whole.text[: min(cuts)] if cuts else whole.text)
        kept = sample.token_ids.tolist()
        assert kept == whole.token_ids.tolist()[: len(kept)]
        assert any(stop in TOKENIZER.decode(kept) for stop in stops) is bool(cuts)
        assert not any(stop in TOKENIZER.decode(kept[:-1]) for stop in stops)


def test_of_two_stop_strings_found_at_once_the_first_in_the_text_is_cut() -> None:
    sampler = sampler_of(tiny_model())
    free = sampler.generate(PROMPT, n=1, max_new_tokens=12, beta=0, ignore_eos=True).texts[0][0]
    end = next(end for end in range(3, len(free)) if free[end] not in free[:end])
    stops = [free[end], free[end - 1 : end + 1]]
    result = sampler.generate(PROMPT, n=1, max_new_tokens=12, beta=0, stop=stops, ignore_eos=True)
    assert result.samples[0][0].finish_reason == "stop"
    assert result.texts[0][0] == free[: end - 1]


def test_a_single_stop_string_is_a_list_of_one() -> None:
    sampler = sampler_of(tiny_model())
    stop = sampler.generate(PROMPT, n=1, max_new_tokens=12, beta=0).texts[0][0][4:6]
    one, listed = (sampler.generate(PROMPT, n=3, max_new_tokens=12, beta=0, stop=given) for given in (stop, [stop]))
    assert one.texts == listed.texts
    assert one.samples[0][0].finish_reason == "stop"


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_restored(training: bool) -> None:
    model = tiny_model("opt")  # has dropout
    sampler = sampler_of(model)
    wanted = tokens_of(sampler.generate(PROMPT, n=2, max_new_tokens=8))
    model.train(training)
    assert tokens_of(sampler_of(model).generate(PROMPT, n=2, max_new_tokens=8)) == wanted
    assert model.training is training
    assert all(module.training is training for module in model.modules())


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_generate_runs_under_any_autograd_mode(context: Any) -> None:
    sampler = sampler_of(tiny_model(), beta=0.5)
    wanted = sampler.generate(PROMPT, n=3, max_new_tokens=8)
    with context():
        result = sampler.generate(PROMPT, n=3, max_new_tokens=8, beta=torch.full((3,), 0.5))
    assert tokens_of(result) == tokens_of(wanted)
    assert not any(sample.log_probs.requires_grad for sample in result.samples[0])
    assert all(parameter.grad is None for parameter in sampler.engine.model.parameters())


def test_a_model_made_under_inference_mode_works() -> None:
    with torch.inference_mode():
        model = tiny_model()
    result = sampler_of(model, beta=0.5).generate(PROMPT, n=3, max_new_tokens=8)
    assert tokens_of(result) == tokens_of(sampler_of(tiny_model(), beta=0.5).generate(PROMPT, n=3, max_new_tokens=8))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["llama", "gemma2", "mamba", "phi"])
def test_half_precision_models_are_sampled_and_watched(family: str, dtype: torch.dtype) -> None:
    sampler = sampler_of(tiny_model(family).to(dtype), beta=0.5)
    result = sampler.generate([PROMPT, "Hi"], n=3, max_new_tokens=8, ignore_eos=True)
    for samples in result.samples:
        for sample in samples:
            assert sample.log_probs.dtype == torch.float32
            assert sample.novelty.isfinite().all()
            assert (sample.novelty > 0).all()
    assert result.diagnostics.loss.isfinite().all()
    assert result.diagnostics.resets.tolist() == [0, 0]
