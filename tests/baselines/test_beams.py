"""Searches, against their definitions on a model whose every text can be listed, and against transformers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from esamp.baselines import BeamSampler, DiverseBeamSampler, StochasticBeamSampler
from esamp.baselines.beams import Beams
from esamp.baselines.beams.stochastic import conditioned
from esamp.callbacks import Callback, GenerateStart
from esamp.result import GenerationResult, Sample
from esamp.testing.models import tiny_model, tiny_tokenizer

MODEL, TOKENIZER = tiny_model(), tiny_tokenizer()
INF = math.inf


def ids(result: GenerationResult) -> list[list[int]]:
    return [sample.token_ids.tolist() for samples in result.samples for sample in samples]


def beams(log_probs: list[Any], score: list[float], **more: Any) -> Beams:
    """One prompt's beams by hand."""
    n = len(score)
    state: dict[str, Any] = {"length": [1] * n, "ended": [False] * n, "total": score} | more
    return Beams(
        torch.tensor([log_probs]),
        torch.tensor([score]),
        torch.tensor([state["total"]]),
        torch.tensor([state["length"]]),
        torch.tensor([state["ended"]]),
        1,
    )


def test_beam_takes_the_best_ways_on_of_all_beams() -> None:
    step = beams([[-1.0, -2.0, -9.0], [-0.5, -0.6, -9.0]], [-1.0, -2.0])
    choice = BeamSampler(MODEL, TOKENIZER, length_penalty=0.0).choose(step, 0)
    assert (choice.parent.tolist(), choice.token.tolist()) == ([[0, 1]], [[0, 0]])
    torch.testing.assert_close(choice.score, torch.tensor([[-2.0, -2.5]]))


def test_an_ended_beam_competes_by_its_own_length() -> None:
    ended = beams([[0.0, -INF, -INF], [-0.5, -0.6, -9.0]], [-3.0, -4.0], length=[2, 3], ended=[True, False])
    # -3 / 2 = -1.5 against -4.5 / 4 = -1.125: the mean prefers the longer one, the sum the shorter.
    assert BeamSampler(MODEL, TOKENIZER, length_penalty=1.0).choose(ended, 0).parent.tolist() == [[1, 1]]
    assert BeamSampler(MODEL, TOKENIZER, length_penalty=0.0).choose(ended, 0).parent.tolist() == [[0, 1]]


def test_beam_is_that_of_transformers_where_nothing_ends() -> None:
    got = BeamSampler(MODEL, TOKENIZER).generate("ab", 5, max_new_tokens=6, ignore_eos=True)
    prompt = TOKENIZER("ab", return_tensors="pt")
    wanted = MODEL.generate(  # pyright: ignore
        **prompt, do_sample=False, num_beams=5, num_return_sequences=5, max_new_tokens=6, min_new_tokens=6, top_k=None
    )
    assert ids(got) == wanted[:, prompt["input_ids"].shape[1] :].tolist()
    sample = got.samples[0][0]
    assert sample.log_probs.isnan().all()
    context = torch.cat([prompt["input_ids"][0], sample.token_ids])[None]
    logits = MODEL(context).logits[0, -7:-1].log_softmax(-1)
    torch.testing.assert_close(sample.reference_log_probs, logits.gather(1, sample.token_ids[:, None])[:, 0])


def test_diverse_beams_pay_for_what_earlier_groups_have_chosen() -> None:
    step = beams([[-1.0, -1.3, -2.0]] * 3, [0.0, 0.0, 0.0])
    choice = DiverseBeamSampler(MODEL, TOKENIZER, strength=0.5).choose(step, 0)
    # Group 1 pays .5 for token 0; group 2 pays .5 for token 0 and .5 for token 1: -1.5, -1.8, -2.
    assert choice.token.tolist() == [[0, 1, 0]]
    torch.testing.assert_close(choice.score, torch.tensor([[-1.0, -1.3, -1.5]]))
    same = DiverseBeamSampler(MODEL, TOKENIZER, strength=0.0).choose(step, 0)
    assert same.token.tolist() == [[0, 0, 0]]


def test_ended_beams_neither_pay_nor_count() -> None:
    step = beams([[0.0, -INF], [-0.1, -2.0]], [-1.0, -1.0], ended=[True, False])
    assert DiverseBeamSampler(MODEL, TOKENIZER, strength=9.0).choose(step, 0).token.tolist() == [[0, 0]]


def test_one_group_is_beam_search_and_groups_search_apart() -> None:
    asked: dict[str, Any] = {"n": 4, "max_new_tokens": 5, "ignore_eos": True}
    one = DiverseBeamSampler(MODEL, TOKENIZER, groups=1).generate("ab", **asked)
    assert ids(one) == ids(BeamSampler(MODEL, TOKENIZER).generate("ab", **asked))
    two = DiverseBeamSampler(MODEL, TOKENIZER, groups=2, strength=0.0).generate("ab", **asked)
    assert ids(two)[:2] == ids(two)[2:]
    with pytest.raises(ValueError, match=r"^groups must divide n = 4, got 3"):
        DiverseBeamSampler(MODEL, TOKENIZER, groups=3).generate("ab", **asked)


def test_conditioned_gumbels_have_the_maximum_they_are_given() -> None:
    perturbed = torch.tensor([[[1.0, 0.2, -INF], [0.5, 3.0, 2.0]]])
    moved = conditioned(perturbed, torch.tensor([[-2.0, -INF]]))
    assert moved[0, 0].amax() == -2.0
    wanted = -torch.log(torch.exp(torch.tensor(2.0)) - math.exp(-1.0) + math.exp(-0.2))
    torch.testing.assert_close(moved[0, 0, 1], wanted)
    assert moved[0, 0, 2] == -INF
    assert (moved[0, 1] == -INF).all()


def two_tokens(sampler: StochasticBeamSampler, first: Tensor, second: Tensor, n: int, seed: int) -> list[int]:
    """Texts of two tokens, as numbers, drawn by hand-made distributions."""
    start = sampler.start(n)[None]
    vocabulary, zeros = len(first), torch.zeros(1, n)
    none, never = torch.zeros(1, n, dtype=torch.int64), torch.zeros(1, n, dtype=torch.bool)
    begun = sampler.choose(Beams(first.log().expand(1, n, -1), start, zeros, none, never, 0), seed)
    total = first.log()[begun.token]
    log_probs = second.log()[begun.token]
    ended = sampler.choose(Beams(log_probs, begun.score, total, none + 1, never, 1), seed)
    return (begun.token.gather(1, ended.parent) * vocabulary + ended.token)[0].tolist()


def test_stochastic_beam_draws_texts_without_replacement() -> None:
    first = torch.tensor([0.5, 0.3, 0.2])
    second = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [1 / 3, 1 / 3, 1 / 3]])
    probs = (first[:, None] * second).flatten().tolist()
    sampler, draws = StochasticBeamSampler(MODEL, TOKENIZER), 1200
    pairs = Counter(tuple(two_tokens(sampler, first, second, 3, seed)[:2]) for seed in range(draws))
    for a, b in itertools.permutations(range(9), 2):
        # The first by p, the second by p among what is left.
        wanted = probs[a] * probs[b] / (1 - probs[a])
        assert abs(pairs[a, b] / draws - wanted) < 4.5 * math.sqrt(wanted / draws)


@pytest.mark.parametrize("kind", [BeamSampler, DiverseBeamSampler, StochasticBeamSampler])
def test_every_search_gives_n_samples_of_each_prompt(kind: Any) -> None:
    sampler = kind(MODEL, TOKENIZER)
    both = sampler.generate(["ab", "a longer one"], 4, max_new_tokens=8, stop="t", seed=1)
    assert [len(samples) for samples in both.samples] == [4, 4]
    assert [sample.index for sample in both.samples[1]] == [0, 1, 2, 3]
    assert ids(both) == ids(
        sampler.generate(["ab", "a longer one"], 4, max_new_tokens=8, stop="t", seed=1, batch_size=1)
    )
    for sample in itertools.chain(*both.samples):
        assert sample.log_probs.isnan().all() != (kind is StochasticBeamSampler)
        assert (sample.finish_reason == "stop") == ("t" in TOKENIZER.decode(sample.token_ids, skip_special_tokens=True))
        assert (sample.reference_log_probs < 0).all()
    assert kind.__name__ in sampler.describe()


def test_samples_without_replacement_differ() -> None:
    found = ids(StochasticBeamSampler(MODEL, TOKENIZER, temperature=0.1).generate("ab", 12, max_new_tokens=5))
    assert len({tuple(tokens) for tokens in found}) == 12


def test_a_beam_that_ends_leaves_the_others_going_on() -> None:
    sampler = BeamSampler(MODEL, TOKENIZER, length_penalty=0.0)
    free = sampler.generate("ab", 4, max_new_tokens=6, ignore_eos=True)
    eos = free.samples[0][0].token_ids[1].item()
    kept = MODEL.generation_config.eos_token_id
    try:
        MODEL.generation_config.eos_token_id = eos
        result = sampler.generate("ab", 4, max_new_tokens=6)
    finally:
        MODEL.generation_config.eos_token_id = kept
    for sample in result.samples[0]:
        tokens = sample.token_ids.tolist()
        assert (sample.finish_reason == "eos") == (eos in tokens)
        assert eos not in tokens[:-1]
    assert {sample.finish_reason for sample in result.samples[0]} >= {"eos"}


def test_one_n_for_all_prompts() -> None:
    with pytest.raises(ValueError, match=r"^n must be one number"):
        BeamSampler(MODEL, TOKENIZER).generate(["a", "b"], [2, 3])


class Recorder(Callback):
    def __init__(self, fail: bool = False) -> None:
        self.fail = fail
        self.calls: list[str] = []

    def on_generate_start(self, start: GenerateStart) -> None:
        self.calls.append(f"start {start.prompts} x {start.n}")

    def on_sample_end(self, sample: Sample) -> None:
        self.calls.append(f"sample {sample.prompt}.{sample.index}")
        if self.fail:
            raise RuntimeError("full")

    def on_generate_end(self, result: GenerationResult) -> None:
        self.calls.append(f"end {result.tokens}")

    def on_exception(self, error: BaseException) -> None:
        self.calls.append(f"exception {error}")


def test_a_search_tells_its_callbacks_what_a_sampler_tells_them() -> None:
    recorder = Recorder()
    result = BeamSampler(MODEL, TOKENIZER).generate(["a", "b"], n=2, max_new_tokens=3, callbacks=[recorder])
    ends = [f"sample {prompt}.{index}" for prompt in range(2) for index in range(2)]
    assert recorder.calls == ["start 2 x 2", *ends, f"end {result.tokens}"]
    failing, other = Recorder(fail=True), Recorder()
    with pytest.raises(RuntimeError, match="full"):
        BeamSampler(MODEL, TOKENIZER).generate("a", n=2, max_new_tokens=3, callbacks=[failing, other])
    assert failing.calls == ["start 1 x 2", "sample 0.0", "exception full"]
    assert other.calls == ["start 1 x 2", "exception full"]
