"""Waves, state that is carried over, prompts that share, learning from the prompt, schedules: through `generate`."""

from __future__ import annotations

import pytest
import torch

from esamp import ESampSampler
from esamp.distillers import FrozenDistiller, HierarchicalDistiller, RecursiveLeastSquaresDistiller
from esamp.schedules import Linear, OnlyFirst
from esamp.sharing import ByKey
from esamp.testing.models import tiny_model

PROMPTS = ["one two three", "four five", "six seven eight nine"]
SETTINGS = {"n": 4, "max_new_tokens": 8, "ignore_eos": True, "min_p": None, "seed": 3}


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def sampler(model, tokenizer):
    return ESampSampler(model, tokenizer, distiller=RecursiveLeastSquaresDistiller(features=16, ridge=0.1), beta=1.0)


def tokens(result, prompt=0):
    return [sample.token_ids.tolist() for sample in result.samples[prompt]]


def test_plain_waves_give_the_samples_of_one_wave(sampler):
    plain = sampler.generate(PROMPTS, **SETTINGS, beta=0.0)
    waves = sampler.generate(PROMPTS, **SETTINGS, beta=0.0, waves=3)
    assert [tokens(plain, p) for p in range(3)] == [tokens(waves, p) for p in range(3)]
    assert [sample.index for sample in waves.samples[1]] == [0, 1, 2, 3]


def test_a_later_wave_starts_from_what_an_earlier_one_taught(sampler):
    result = sampler.generate(PROMPTS, **SETTINGS, waves=2)
    loss = result.diagnostics.loss
    assert loss.shape == (3, 16)
    # The first step of every wave sees the same context, the prompt's last position.
    assert (loss[:, 8] < 0.5 * loss[:, 0]).all()


def test_the_first_wave_is_that_of_fewer_samples(sampler):
    alone = sampler.generate(PROMPTS, **{**SETTINGS, "n": 2})
    waves = sampler.generate(PROMPTS, **SETTINGS, waves=2)
    assert tokens(alone) == tokens(waves)[:2]


def test_state_goes_on_where_it_was_left_and_is_not_changed(sampler):
    first = sampler.generate(PROMPTS, **SETTINGS)
    updates = first.state[0].updates.clone()
    second = sampler.generate(PROMPTS, **SETTINGS, state=first.state)
    again = sampler.generate(PROMPTS, **SETTINGS, state=first.state)
    assert (second.diagnostics.loss[:, 0] < 0.5 * first.diagnostics.loss[:, 0]).all()
    assert torch.equal(first.state[0].updates, updates)
    assert (second.state[0].updates == 2 * updates).all()
    assert tokens(second) == tokens(again)
    fresh = sampler.generate(PROMPTS, **SETTINGS)
    assert torch.equal(fresh.diagnostics.loss, first.diagnostics.loss)


def test_state_of_another_shape_or_distiller_is_refused(sampler, model, tokenizer):
    state = sampler.generate(PROMPTS[:2], **SETTINGS).state
    with pytest.raises(ValueError, match=r"state must hold banks of .* for \[3\] groups, got .* for \[2\]"):
        sampler.generate(PROMPTS, **SETTINGS, state=state)
    other = ESampSampler(model, tokenizer, distiller="low_rank")
    with pytest.raises(ValueError, match="state must hold banks of LowRankDistiller"):
        other.generate(PROMPTS[:2], **SETTINGS, state=state)


def test_prompts_that_share_learn_from_each_other(model, tokenizer):
    def losses(sharing, prompts):
        distiller = RecursiveLeastSquaresDistiller(features=16, ridge=0.1)
        sampler = ESampSampler(model, tokenizer, distiller=distiller, sharing=sharing)
        result = sampler.generate(prompts, **SETTINGS, beta=torch.zeros(4))
        return result.diagnostics.loss

    same = [PROMPTS[0], PROMPTS[1], PROMPTS[0]]
    shared = losses(ByKey(["x", "y", "x"]), same)
    assert shared.shape == (2, 8)
    apart = losses("per_prompt", same)
    # The group that has one prompt is as if nobody shared; the other meets every sample twice from the first update on.
    torch.testing.assert_close(shared[1], apart[1], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(shared[0, 0], apart[0, 0], rtol=1e-3, atol=1e-5)
    assert not torch.isclose(shared[0, 3:], apart[0, 3:], rtol=1e-3).any()
    assert losses("whole_batch", same).shape == (1, 8)


def test_samples_with_distillers_of_their_own_know_nothing_of_each_other(model, tokenizer):
    def draw(sharing, **changed):
        distiller = RecursiveLeastSquaresDistiller(features=16, ridge=0.1)
        sampler = ESampSampler(model, tokenizer, distiller=distiller, beta=1.0, sharing=sharing)
        return sampler.generate(PROMPTS, **{**SETTINGS, **changed})

    apart = draw("per_sample")
    assert apart.diagnostics.loss.shape == (12, 8)
    assert [tokens(draw("per_sample", n=2), p) for p in range(3)] == [tokens(apart, p)[:2] for p in range(3)]
    assert [tokens(draw("per_sample", waves=2), p) for p in range(3)] == [tokens(apart, p) for p in range(3)]
    assert [tokens(draw("per_sample", n=[1, 4, 2]), p) for p in range(3)] == [
        tokens(apart, p)[:count] for p, count in enumerate([1, 4, 2])
    ]
    assert tokens(draw("per_prompt", n=2)) != tokens(draw("per_prompt"))[:2]
    # Each still learns from what it has written itself.
    assert bool((apart.diagnostics.loss[:, 4:] < apart.diagnostics.loss[:, :1]).any())


def test_distillers_of_single_samples_do_not_learn_from_the_prompt(model, tokenizer):
    sampler = ESampSampler(model, tokenizer, sharing="per_sample", learn_prompt=True)
    with pytest.raises(ValueError, match=r"learn_prompt must be False .* got True with sharing=PerSample"):
        sampler.generate(PROMPTS, **SETTINGS)


def test_sharing_does_not_change_which_sample_is_whose(model, tokenizer):
    settings = {**SETTINGS, "beta": torch.zeros(4)}
    shared = ESampSampler(model, tokenizer, sharing="whole_batch").generate(PROMPTS, **settings)
    apart = ESampSampler(model, tokenizer).generate(PROMPTS, **settings)
    assert [tokens(shared, p) for p in range(3)] == [tokens(apart, p) for p in range(3)]


def test_a_distiller_may_learn_from_the_prompt_first(sampler, model, tokenizer):
    distiller = RecursiveLeastSquaresDistiller(features=16, ridge=0.1)
    ready = ESampSampler(model, tokenizer, distiller=distiller, beta=1.0, learn_prompt=True)
    long = "one two three four one two three four one two three four one two three"
    watched = {**SETTINGS, "beta": torch.zeros(4)}
    before = sampler.generate(long, **watched).diagnostics.loss[0, 0]
    after = ready.generate(long, **watched).diagnostics.loss[0, 0]
    assert after < 0.95 * before
    # It has learnt already, so its fusion is on for the first token.
    assert ready.generate(long, **SETTINGS).samples[0][0].kl[0] > 0
    assert sampler.generate(long, **SETTINGS).samples[0][0].kl[0] == 0


def test_beta_by_schedule(sampler):
    constant = sampler.generate(PROMPTS, **SETTINGS, beta=0.5)
    assert tokens(sampler.generate(PROMPTS, **SETTINGS, beta=Linear(0.5, 0.5, 1))) == tokens(constant)
    short = sampler.generate(PROMPTS, **SETTINGS, beta=OnlyFirst(0.5, 3))
    assert torch.equal(short.samples[0][0].kl[:3], constant.samples[0][0].kl[:3])
    assert not short.samples[0][0].kl[3:].any()


def test_temperature_by_schedule(sampler):
    constant = sampler.generate(PROMPTS, **SETTINGS, temperature=0.8)
    assert tokens(sampler.generate(PROMPTS, **SETTINGS, temperature=Linear(0.8, 0.8, 1))) == tokens(constant)
    plain = {**SETTINGS, "beta": 0.0}
    cold = sampler.generate(PROMPTS, **plain, temperature=Linear(1.0, 1e-3, 4))
    greedy = sampler.generate(PROMPTS, **plain, temperature=1e-3)
    warm = sampler.generate(PROMPTS, **plain)
    assert cold.samples[0][0].token_ids[0] == warm.samples[0][0].token_ids[0]
    assert cold.samples[0][0].log_probs[4:].min() > -1e-3
    assert greedy.samples[0][0].log_probs.min() > -1e-3


def test_a_frozen_distiller_learns_in_no_wave(model, tokenizer):
    sampler = ESampSampler(model, tokenizer, distiller=FrozenDistiller())
    loss = sampler.generate(PROMPTS, **SETTINGS, beta=torch.zeros(4), waves=2).diagnostics.loss
    torch.testing.assert_close(loss[:, 8], loss[:, 0])


@pytest.mark.parametrize("waves", [0, 5, 2.0, True])
def test_bad_waves_are_named(sampler, waves):
    with pytest.raises((ValueError, TypeError), match="waves"):
        sampler.generate(PROMPTS, **SETTINGS, waves=waves)


def test_each_prompt_may_have_its_own_number_of_samples(sampler):
    counts = [1, 4, 3]
    result = sampler.generate(PROMPTS, **{**SETTINGS, "n": counts})
    for prompt, count in enumerate(counts):
        alone = sampler.generate(PROMPTS[prompt], **{**SETTINGS, "n": count})
        assert tokens(result, prompt) == tokens(alone)
    assert result.settings["n"] == counts


def test_ragged_samples_come_in_waves_too(sampler):
    counts = [1, 4, 3]
    settings = {**SETTINGS, "n": counts, "waves": 3}
    result = sampler.generate(PROMPTS, **settings)
    assert [[sample.index for sample in samples] for samples in result.samples] == [[0], [0, 1, 2, 3], [0, 1, 2]]
    for prompt, count in enumerate(counts[1:], 1):
        alone = sampler.generate(PROMPTS[prompt], **{**settings, "n": count})
        assert tokens(result, prompt) == tokens(alone)
    # A β for each sample stays with its sample.
    beta = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    kl = sampler.generate(PROMPTS, **settings, beta=beta).samples
    tilted = [[bool(sample.kl.sum() > 0) for sample in samples] for samples in kl]
    assert tilted == [[False], [False, False, True, False], [False, False, False]]


def test_prompts_learn_before_ragged_samples_too(model, tokenizer):
    distiller = RecursiveLeastSquaresDistiller(features=16, ridge=0.1)
    sampler = ESampSampler(model, tokenizer, distiller=distiller, beta=1.0, learn_prompt=True)
    together = sampler.generate(PROMPTS, **{**SETTINGS, "n": [4, 1, 2]})
    losses = sampler.generate(PROMPTS[:1], **SETTINGS).diagnostics.loss
    torch.testing.assert_close(together.diagnostics.loss[:1], losses, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("n", "message"),
    [
        ([1, 2], "n must be a number, or one for each of the 3 prompts, got 2 of them"),
        ([1, 0, 2], r"n\[1\] must be an integer >= 1, got 0"),
    ],
)
def test_ragged_numbers_are_checked(sampler, n, message):
    with pytest.raises(ValueError, match=message):
        sampler.generate(PROMPTS, **{**SETTINGS, "n": n})


def test_prompts_of_one_domain_share_that_level(model, tokenizer):
    def losses(domains, prompts, batch_size=None):
        trunk, domain, leaf = (RecursiveLeastSquaresDistiller(features=16, ridge=0.1) for _ in range(3))
        distiller = HierarchicalDistiller(trunk=FrozenDistiller(trunk), domain=domain, leaf=FrozenDistiller(leaf))
        sampler = ESampSampler(model, tokenizer, distiller=distiller, domains=domains)
        settings = {**SETTINGS, "beta": torch.zeros(4), "batch_size": batch_size}
        return sampler.generate(prompts, **settings).diagnostics.loss

    prompts = [*PROMPTS[:2], PROMPTS[0]]
    apart, together = losses(ByKey("abc"), prompts), losses(ByKey("aba"), prompts)
    torch.testing.assert_close(apart[0], apart[2])
    # The first and the last prompt teach one domain; the one between them notices nothing.
    assert not torch.isclose(together[0, 1:], apart[0, 1:]).any()
    torch.testing.assert_close(together[1], apart[1])
    # A batch numbers its own domains.
    torch.testing.assert_close(losses(ByKey("cba"), prompts, batch_size=1), apart)


def test_domains_need_a_distiller_that_has_them(model, tokenizer):
    sampler = ESampSampler(model, tokenizer, domains="whole_batch")
    with pytest.raises(ValueError, match="domains must be None for RecursiveLeastSquaresDistiller"):
        sampler.generate(PROMPTS, **SETTINGS)
