"""Segment novelty: β follows what siblings have said already."""

from __future__ import annotations

import pytest
import torch

from esamp import ESampSampler
from esamp.fusion import BetaMix, EntropyMatched, FusionStep, SegmentNovelty, Subtraction
from esamp.rows import Rows
from esamp.testing.models import tiny_model

WORD, STOP, LINE = 0, 1, 2
TEXTS = (" word", '."', "x\n")
EAST, NORTH = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])


class Group:
    """One group of a segment novelty whose rows say a vector and a token a step."""

    def __init__(self, lanes: int, **arguments) -> None:
        self.fusion = SegmentNovelty(shortest=1, **arguments).attach(2, 1, lambda: TEXTS)
        self.lanes, self.step = lanes, 0
        self.fusion.begin(lanes)

    def rows(self) -> Rows:
        rows = Rows.of_prompts(torch.zeros(1, dtype=torch.int64), torch.ones(1, self.lanes))
        return Rows(rows.slot, rows.lane, rows.sample, rows.step + self.step, rows.beta)

    def say(self, deep: list[torch.Tensor], tokens: list[int], alive: list[bool] | None = None) -> None:
        living = torch.tensor(alive if alive is not None else [True] * self.lanes)
        self.fusion.observe(torch.stack(deep), torch.tensor(tokens), self.rows(), living)
        self.step += 1

    def beta(self, deep: list[torch.Tensor]) -> list[float]:
        """β that the inner fusion is given, read off its tilt; 1 was asked for."""
        zero = torch.zeros(self.lanes, 2)
        step = FusionStep(
            reference=zero,
            distilled=torch.tensor([0.0, -1.0]).expand(self.lanes, 2),
            beta=torch.ones(self.lanes),
            mask=zero == 0,
            ids=torch.arange(2).expand(self.lanes, 2),
            temperature=torch.ones(self.lanes, 1),
            deep=torch.stack(deep),
            predicted=zero,
            rows=self.rows(),
        )
        return [round(value, 4) for value in self.fusion(step)[:, 1].tolist()]


def test_beta_is_left_alone_until_a_sibling_has_finished_a_segment():
    group = Group(2)
    assert group.beta([EAST, NORTH]) == [1.0, 1.0]
    group.say([EAST, NORTH], [WORD, WORD])
    assert group.beta([EAST, NORTH]) == [1.0, 1.0]


def test_what_a_sibling_has_said_raises_beta_and_its_opposite_lowers_it():
    group = Group(3)
    # The mean of the group is 0, so that cosines are those of the vectors themselves.
    group.say([EAST, -EAST, NORTH], [STOP, WORD, WORD])
    group.say([-EAST, -EAST, EAST - NORTH], [WORD, WORD, WORD])
    group.say([EAST, EAST, -EAST], [WORD, WORD, WORD])
    mean = group.fusion.memory._mean[0]
    torch.testing.assert_close(mean, torch.zeros(2))
    # Row 1 has said -east, -east, east: with east its mean is 0 / 4; with -4 east it is -5/4 east, the opposite.
    beta = group.beta([EAST, -4 * EAST, 8 * EAST])
    assert beta[0] == 1.0, "its own segment does not count"
    assert beta[1] == 0.0
    assert beta[2] == 2.0


def test_nearness_is_the_largest_cosine_to_any_segment_of_the_others():
    torch.manual_seed(0)
    group, said = Group(3, gain=0.5), torch.randn(4, 3, 2)
    for deep in said[:3]:
        group.say(list(deep), [LINE, LINE, WORD])
    mean = said[:3].flatten(0, 1).mean(dim=0)
    finished = said[:3, :2].flatten(0, 1) - mean
    current = (said[:3, 2].sum(dim=0) + said[3, 2]) / 4 - mean
    nearest = torch.cosine_similarity(current.unsqueeze(0), finished).max()
    assert group.beta(list(said[3]))[2] == pytest.approx(1 + 0.5 * float(nearest), abs=1e-3)


def test_lines_end_at_newlines_and_sentences_at_stops_too():
    for unit, ending in (("line", False), ("sentence", True)):
        group = Group(2, unit=unit)
        group.say([EAST, NORTH], [STOP, WORD])
        assert (group.beta([NORTH, 3 * EAST])[1] > 1.0) is ending


def test_a_row_that_does_not_count_says_nothing():
    group = Group(2)
    group.say([EAST, NORTH], [STOP, WORD], alive=[False, True])
    assert group.beta([EAST, NORTH]) == [1.0, 1.0]


def test_only_the_last_segments_are_kept():
    group = Group(2, capacity=1)
    group.say([EAST, NORTH], [STOP, WORD])
    group.say([-EAST, -NORTH], [STOP, WORD])
    # The one that is left is -east.
    assert group.beta([EAST, 3 * EAST])[1] == 0.0


def test_a_new_row_in_a_lane_finds_the_old_one_a_stranger():
    group = Group(1)
    group.say([EAST], [STOP])
    group.say([-EAST], [WORD])
    assert group.beta([EAST]) == [1.0]
    group.step = 0
    assert group.beta([EAST]) == [2.0]
    group.say([EAST], [WORD])
    assert group.beta([EAST]) == [2.0]


def test_a_later_wave_meets_what_an_earlier_one_said():
    group = Group(1)
    group.say([EAST], [STOP])
    group.say([-EAST], [WORD])
    group.fusion.begin(1)
    assert group.beta([EAST]) == [2.0]


def test_short_segments_go_on():
    fusion = SegmentNovelty(shortest=3).attach(2, 1, lambda: TEXTS)
    fusion.begin(1)
    rows = Rows.of_prompts(torch.zeros(1, dtype=torch.int64), torch.ones(1, 1))
    for _ in range(2):
        fusion.observe(EAST.unsqueeze(0), torch.tensor([STOP]), rows, torch.tensor([True]))
        rows = rows.advance()
        assert int(fusion.memory._written) == 0
    fusion.observe(EAST.unsqueeze(0), torch.tensor([STOP]), rows, torch.tensor([True]))
    assert int(fusion.memory._written) == 1


def test_wrappers_hand_the_memory_on():
    matched = EntropyMatched(SegmentNovelty(Subtraction())).attach(2, 1, lambda: TEXTS)
    assert matched.inner.memory is not None
    assert type(matched.inner.inner) is Subtraction


def test_it_changes_samples_through_generate_and_is_carried_over(tokenizer):
    model = tiny_model()
    settings = {"n": 4, "max_new_tokens": 12, "ignore_eos": True, "min_p": None}
    plain = ESampSampler(model, tokenizer, beta=1.0).generate("one two", **settings, waves=2)
    sampler = ESampSampler(model, tokenizer, beta=1.0, fusion=SegmentNovelty(BetaMix(), gain=3.0, shortest=1))
    # The words of the tiny tokenizer end no sentence, so every token is made to.
    sampler.engine.token_texts = lambda: ["."] * sampler.engine.head.vocabulary
    result = sampler.generate("one two", **settings, waves=2)
    assert result.texts != plain.texts
    assert sampler.generate("one two", **settings, waves=2).texts == result.texts
    on = sampler.generate("one two", **settings, state=result.state)
    assert on.texts != result.texts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unit": "word"}, "unit must be one of line, sentence, got 'word'"),
        ({"gain": -1.0}, "gain"),
        ({"shortest": 0}, "shortest"),
        ({"capacity": 0}, "capacity"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SegmentNovelty(**arguments)
