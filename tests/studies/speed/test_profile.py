"""Every part of a step is timed, once."""

from __future__ import annotations

from unittest.mock import create_autospec

import pytest
import torch

from esamp import ESampSampler, MLPDistiller
from esamp.callbacks import StepRecord
from esamp.candidates import Filters
from esamp.explorer import Explorer
from esamp.studies.speed import profile
from esamp.studies.speed.profile import PARTS, profile_step
from esamp.testing.models import tiny_model

_RECORD = create_autospec(StepRecord, instance=True)
_ESAMP = {"predict", "candidate head", "fusion", "learn", "explorer"}


def test_parts_add_up_to_the_step_and_plain_sampling_has_none_of_esamp(tokenizer):
    sampler = ESampSampler(tiny_model(), tokenizer, distiller=MLPDistiller(width=8))
    before = (Filters.select, Explorer.fuse, MLPDistiller.learn)
    plain, explored = profile_step(sampler, ["one two"], n=3, max_new_tokens=6)
    assert (Filters.select, Explorer.fuse, MLPDistiller.learn) == before
    assert set(plain.seconds) == set(explored.seconds) == set(PARTS)
    assert all(value > 0 for value in explored.seconds.values())
    assert {part for part, value in plain.seconds.items() if value == 0} == _ESAMP
    # Medians of parts need not add up exactly; parts that were counted twice would be far off.
    assert 0.5 < sum(explored.seconds.values()) / explored.step < 1.5
    assert explored.share("learn") == explored.seconds["learn"] / explored.step


class _Hands:
    """A clock that goes when it is told to."""

    def __init__(self):
        self.now = self.began = 0.0

    def start(self):
        self.began = self.now

    def lap(self):
        return self.now - self.began, 0.0


def test_a_part_has_neither_what_is_inside_it_nor_the_other_arms_turn():
    watch, hands = profile._StepWatch(torch.device("cpu")), _Hands()
    watch._clock = hands

    def passes(seconds):
        hands.now += seconds

    passes(1.0)
    watch.enter("explorer")
    passes(2.0)
    watch.enter("softmax")
    passes(4.0)
    watch.leave()
    passes(8.0)
    watch.leave()
    watch.on_step(_RECORD)
    passes(100.0)  # the other arm's
    profile._Resume(watch).on_step(_RECORD)
    passes(16.0)
    watch.on_step(_RECORD)
    assert watch.steps == [{"loop": 1.0, "explorer": 10.0, "softmax": 4.0}, {"loop": 16.0}]


def test_there_must_be_something_to_see(tokenizer):
    with pytest.raises(ValueError, match="beta must be > 0"):
        profile_step(ESampSampler(tiny_model(), tokenizer, beta=0.0), ["one"])
    with pytest.raises(ValueError, match=r"max_new_tokens must be an integer >= 4, got 3"):
        profile_step(ESampSampler(tiny_model(), tokenizer), ["one"], max_new_tokens=3)
