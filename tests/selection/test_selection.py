"""Votes, best of n and diverse subsets: on samples whose answers, likelihoods and distances are known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from esamp.metrics import vendi_score
from esamp.result import Diagnostics, GenerationResult, Sample
from esamp.selection import (
    BestOfN,
    DiverseSubset,
    Majority,
    Rerank,
    Selector,
    best_of_n,
    diverse_subset,
    last_match,
    log_likelihood,
    majority,
    mean_log_likelihood,
    normal_text,
    parse_selector,
    rerank,
    select,
    selectors,
)


def sample(index: int, text: str, log_prob: float = -1.0, tokens: int = 2) -> Sample:
    numbers = torch.full((tokens,), log_prob)
    ids = torch.arange(tokens)
    return Sample(0, index, text, ids, numbers, numbers, numbers, numbers, ids, "eos")


def said(*texts: str) -> list[Sample]:
    return [sample(index, text) for index, text in enumerate(texts)]


def test_most_voices_win_and_the_first_of_them_speaks():
    found = majority(said("Blue.", "red", " RED!", "green", "Red"))
    assert [chosen.index for chosen in found.samples] == [1, 0, 3]
    assert found.scores == pytest.approx([3 / 5, 1 / 5, 1 / 5])
    assert found.reason == "'red', as 3 of 5 say"


def test_of_equally_many_voices_the_answer_given_first_wins():
    assert majority(said("b", "a", "a", "b")).samples[0].text == "b"


def test_samples_without_an_answer_have_no_vote():
    number = last_match(r"(\d+) apples")
    found = majority(said("none", "I see 3 apples, no, 4 apples", "4 apples", "none"), number)
    assert (found.samples[0].index, found.scores) == (1, [1.0])
    empty = majority(said("none", ""), number)
    assert (empty.samples, empty.reason) == ([], "no sample has an answer")


def test_weights_may_turn_a_vote_and_length_counts_only_where_it_is_asked_for():
    # One likely short sample against two unlikely ones; and the same with the likely one very long.
    short = [sample(0, "a", math.log(0.4)), sample(1, "a", math.log(0.4)), sample(2, "b", math.log(0.9))]
    assert majority(short).samples[0].text == "a"
    weighted = majority(short, log_weight=log_likelihood)
    assert weighted.samples[0].text == "b"
    assert weighted.scores == pytest.approx([0.81 / (0.81 + 0.32), 0.32 / (0.81 + 0.32)])
    long = [*short[:2], sample(2, "b", math.log(0.9), tokens=100)]
    assert majority(long, log_weight=log_likelihood).samples[0].text == "a"
    assert majority(long, log_weight=mean_log_likelihood).samples[0].text == "b"


def test_a_weight_that_is_no_number_is_named():
    with pytest.raises(ValueError, match="log_weight must give finite numbers, got nan for sample 1"):
        majority(said("a", "b"), log_weight=lambda sample: math.nan if sample.index == 1 else 0.0)


def test_weights_far_below_the_smallest_float_still_vote():
    texts = [sample(0, "a", -2000.0), sample(1, "b", -1999.0), sample(2, "b", -1999.0)]
    assert majority(texts, log_weight=log_likelihood).samples[0].text == "b"


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12), st.floats(-1e3, 1e3))
def test_a_factor_on_all_weights_changes_no_vote(texts: list[str], shift: float):
    samples = said(*texts)
    plain, shifted = majority(samples), majority(samples, log_weight=lambda _: shift)
    assert plain.samples == shifted.samples and plain.scores == pytest.approx(shifted.scores)
    assert sum(plain.scores) == pytest.approx(1)
    assert all(a >= b for a, b in itertools.pairwise(plain.scores))


def test_normal_forms():
    assert normal_text('  "The  Answer." ') == "the answer" and normal_text(" ... ") is None
    assert last_match(r"x=(\w+)|none")("x=A none") is None, "the last match has no group"
    with pytest.raises(ValueError, match="pattern must be a regular expression, got '\\('"):
        last_match("(")


def length(prompt: str, texts) -> list[float]:
    return [len(prompt) + len(text) for text in texts]


def test_the_largest_reward_wins_the_earliest_of_equals():
    samples = said("bb", "ccc", "a", "ddd")
    assert [chosen.index for chosen in rerank("p", samples, length).samples] == [1, 3, 0, 2]
    best = best_of_n("p", samples, length)
    assert ([chosen.index for chosen in best.samples], best.scores) == ([1], [4])


def test_a_reward_may_give_a_tensor_and_is_asked_once():
    calls: list[str] = []

    def reward(prompt: str, texts) -> torch.Tensor:
        calls.append(prompt)
        return torch.tensor([0.5, 2.0])

    assert best_of_n("p", said("a", "b"), reward).samples[0].text == "b"
    assert calls == ["p"]


def test_without_a_reward_the_likeliest_a_token_is_best():
    samples = [sample(0, "short", -0.5, tokens=1), sample(1, "long", -0.4, tokens=50)]
    assert best_of_n("p", samples).samples[0].text == "long"


@pytest.mark.parametrize(
    ("scores", "error", "message"),
    [
        ([1.0], ValueError, "reward must give one score a text, got 1 for 2 texts"),
        ([1.0, math.nan], ValueError, "reward of sample 1 must be a finite number"),
        ([1.0, "x"], TypeError, "reward of sample 1 must be a number"),
    ],
)
def test_a_reward_is_held_to_its_promise(scores, error, message: str):
    with pytest.raises(error, match=message):
        best_of_n("p", said("a", "b"), lambda prompt, texts: scores)


def rows(n: int, seed: int, d: int = 4) -> torch.Tensor:
    return normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=-1)


@given(st.integers(2, 7), st.integers(0, 200), st.sampled_from([0.5, 1.0, 2.0, math.inf]))
def test_each_step_adds_what_no_other_sample_beats(n: int, seed: int, order: float):
    embeddings = rows(n, seed)
    chosen, scores = diverse_subset(embeddings, n, order)
    assert sorted(chosen) == list(range(n))
    for size in range(2, n + 1):
        others = [
            vendi_score(embeddings[[*chosen[: size - 1], i]], order) for i in range(n) if i not in chosen[: size - 1]
        ]
        assert scores[size - 1] == pytest.approx(max(others), rel=1e-6)
        assert vendi_score(embeddings[chosen[:size]], order) == pytest.approx(scores[size - 1], rel=1e-6)


@given(st.integers(4, 8), st.integers(0, 200), st.integers(2, 4))
def test_it_is_near_the_best_of_all_subsets(n: int, seed: int, m: int):
    embeddings = rows(n, seed)
    best = max(vendi_score(embeddings[list(subset)]) for subset in itertools.combinations(range(n), m))
    found = diverse_subset(embeddings, m)[1][-1]
    assert (1 - 1 / math.e) * best <= found <= best + 1e-6


def test_it_finds_one_of_each_cluster_and_counts_on_from_where_it_starts():
    embeddings = torch.eye(4)[[1, 1, 1, 0, 0, 3, 1]]
    assert diverse_subset(embeddings, 3) == ([0, 3, 5], pytest.approx([1, 2, 3]))
    assert diverse_subset(embeddings, 3, first=4)[0] == [4, 0, 5]
    assert diverse_subset(embeddings, 2)[0] == diverse_subset(embeddings, 5)[0][:2]


def test_a_subset_cannot_be_larger_than_the_set():
    with pytest.raises(ValueError, match=r"m must be an integer in \[1, 2\], got 3; there are no more samples"):
        diverse_subset(torch.eye(2), 3)
    with pytest.raises(ValueError, match="first must be"):
        diverse_subset(torch.eye(2), 1, first=2)


def by_first_letter(texts) -> torch.Tensor:
    return torch.eye(26)[[ord(text[0]) - ord("a") for text in texts]]


def test_the_diverse_selector_starts_from_the_likeliest():
    samples = [sample(0, "a"), sample(1, "b", -0.1), sample(2, "a"), sample(3, "c")]
    found = DiverseSubset(3, by_first_letter)("p", samples)
    assert [chosen.index for chosen in found.samples] == [1, 0, 3]
    assert found.scores[-1] == pytest.approx(3)
    assert len(DiverseSubset(9, by_first_letter)("p", samples).samples) == 4


@pytest.mark.parametrize("name", selectors.names())
def test_every_selector_can_be_had_by_name_and_refuses_no_samples(name: str):
    selector = parse_selector(name)
    assert isinstance(selector, Selector)
    assert selector("p", said("one")).samples[0].text == "one"
    with pytest.raises(ValueError, match="samples must hold at least one"):
        selector("p", [])


def test_arguments_follow_the_colon():
    assert parse_selector(r"majority:\d:\d")("p", said("at 1:2", "at 3")).samples[0].text == "at 1:2"
    assert parse_selector("diverse:2")("p", said("a", "b", "c")).reason.startswith("the likeliest and 1 more")
    for name, cls in (("best", BestOfN), ("rerank", Rerank)):
        loaded = parse_selector(f"{name}:statistics.fmean")
        assert isinstance(loaded, cls)
        assert loaded.reward.__name__ == "fmean"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("majorty", "did you mean 'majority'"),
        ("diverse:many", "diverse must be followed by a number, such as diverse:4, got 'diverse:many'"),
        ("diverse:0", "m must be an integer >= 1, got 0"),
        ("best:nowhere.reward", "reward 'nowhere.reward' cannot be imported"),
        ("best:math.pi", "must be a callable"),
        ("majority:(", "pattern must be a regular expression"),
    ],
)
def test_a_wrong_name_or_argument_is_named(text: str, message: str):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        parse_selector(text)


def test_a_result_gives_a_selection_for_each_prompt():
    samples = [said("a", "b", "b"), said("c")]
    diagnostics = Diagnostics(torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64))
    found = select(GenerationResult(["p", "q"], samples, diagnostics), Majority())
    assert [selection.samples[0].text for selection in found] == ["b", "c"]
