from __future__ import annotations

import json
import threading
import time

import pytest
import torch

from esamp import Callback, ESampSampler
from esamp.studies.speed import overhead
from esamp.studies.speed.overhead import Overhead, measure_overhead, measure_step_overhead
from esamp.studies.speed.pairs import Spread, Times
from esamp.studies.speed.turns import Settle, take_turns, twin
from esamp.testing.models import tiny_model


class Settings(Callback):
    def __init__(self):
        self.betas, self.lengths = [], []

    def on_generate_start(self, start):
        self.betas.append(start.settings["beta"])

    def on_generate_end(self, result):
        self.lengths += [len(sample.token_ids) for sample in result.samples[0]]


@pytest.fixture
def sampler(tokenizer):
    return ESampSampler(tiny_model(), tokenizer, beta=0.5)


def test_pairs_of_runs_alternate_and_do_equal_work(sampler):
    seen = Settings()
    overhead = measure_overhead(sampler, ["one two"], n=2, max_new_tokens=5, pairs=3, callbacks=[seen])
    assert seen.betas == [0.5, 0.0, 0.0, 0.5] * 2  # one pair warms up; who goes first changes
    assert set(seen.lengths) == {5}
    assert overhead.tokens == 10
    assert [len(times) for arm in (overhead.plain, overhead.explored) for times in (arm.wall, arm.cpu)] == [3] * 4
    assert overhead.candidates >= 1


def test_pairs_of_steps_are_those_between_the_first_and_the_last_of_equal_runs(sampler):
    seen = Settings()
    overhead = measure_step_overhead(sampler, ["one", "two"], n=2, max_new_tokens=6, pairs=2, callbacks=[seen])
    assert sorted(seen.betas) == [0.0, 0.0, 0.0, 0.5, 0.5, 0.5]
    assert sorted(seen.lengths) == [4] * 4 + [6] * 8  # a shorter pair warms up
    assert overhead.tokens == 4
    assert [len(times) for arm in (overhead.plain, overhead.explored) for times in (arm.wall, arm.cpu)] == [8] * 4


def test_only_one_arm_works_at_a_time_and_they_go_first_in_turn(sampler):
    order = []

    class Steps(Callback):
        def __init__(self, name):
            self.name = name

        def on_step(self, record):
            order.append(self.name)

    def arm(at, name):
        return lambda turn: at.generate("one", 1, max_new_tokens=4, ignore_eos=True, callbacks=[Steps(name), turn])

    laps = take_turns([arm(twin(sampler), "a"), arm(sampler, "b")], torch.device("cpu"))
    assert "".join(order) == "abbaabba"
    assert [len(of_arm) for of_arm in laps] == [4, 4]


def test_an_arm_that_fails_ends_the_other_and_is_heard_of(sampler):
    ended = []

    class Ends(Callback):
        def on_exception(self, error):
            ended.append(error)

    def fails(turn):
        raise ValueError("the second one failed")

    def plays(turn):
        sampler.generate("one", 1, max_new_tokens=50, ignore_eos=True, callbacks=[turn, Ends()])

    with pytest.raises(ValueError, match="the second one failed"):
        take_turns([plays, fails], torch.device("cpu"))
    assert len(ended) == 1


def test_a_twin_shares_every_weight_and_no_hook(sampler):
    other = twin(sampler)
    ours, theirs = sampler.engine.model, other.engine.model
    assert ours is not theirs
    assert [p.data_ptr() for p in ours.parameters()] == [p.data_ptr() for p in theirs.parameters()]
    same = [at.generate("one two", 2, max_new_tokens=6).texts for at in (sampler, other)]
    assert same[0] == same[1]
    ours.get_output_embeddings().register_forward_hook(lambda *_: pytest.fail("the twin called it"))
    other.generate("one two", 2, max_new_tokens=2)


def test_the_median_is_over_the_ratios_of_pairs():
    plain, explored = Times([1.0, 2.0, 4.0], [1.0, 1.0, 1.0]), Times([1.1, 2.0, 5.0], [1.0, 1.02, 1.5])
    overhead = Overhead(plain, explored, tokens=100)
    assert overhead.wall.median == pytest.approx(0.1)
    assert (overhead.wall.low, overhead.wall.high) == pytest.approx((0.05, 0.175))
    assert overhead.cpu.median == pytest.approx(0.02)
    assert overhead.loss == pytest.approx(1 - 1 / 1.1)
    summary = overhead.summary()
    assert "+10.0%" in summary and "+5.0% and +17.5%" in summary and "+2.0% (+1.0% … +26.0%)" in summary
    assert "50.0 tokens/s plain" in summary
    kept = json.loads(json.dumps(overhead.to_dict()))
    assert kept["plain"]["wall"] == [1.0, 2.0, 4.0]
    assert kept["explored"]["cpu"] == [1.0, 1.02, 1.5]


def test_one_value_has_no_spread():
    assert Spread.of([2.0]) == Spread(2.0, 2.0, 2.0)


def test_with_no_beta_it_measures_its_own_zero(tokenizer):
    plain = ESampSampler(tiny_model(), tokenizer, beta=0.0)
    for measure in (measure_overhead, measure_step_overhead):
        zero = measure(plain, ["one two"], n=2, max_new_tokens=4, pairs=2)
        assert zero.summary().startswith("The second of two runs with β = 0 adds ")
        assert zero.to_dict()["candidates"] is None
        assert len(zero.plain.wall) == len(zero.explored.wall) > 0


def test_the_two_exchange_their_places(sampler, monkeypatch):
    placed = []

    def note(at, beta, **_):
        placed.append((at is sampler, beta))
        return lambda *_: None

    monkeypatch.setattr(overhead, "_start", note)
    turns = [[(float(seed + place), 0.0)] * 3 for seed in range(0, 50, 10) for place in (1, 2)]
    monkeypatch.setattr(overhead, "take_turns", lambda *_: [turns.pop(0), turns.pop(0)])
    measured = measure_step_overhead(sampler, ["one"], pairs=4)
    assert placed[2:] == [(False, 0.0), (True, 0.5), (False, 0.5), (True, 0.0)] * 2
    assert measured.plain.wall == [11, 22, 31, 42]
    assert measured.explored.wall == [12, 21, 32, 41]


def test_each_run_is_counted_where_it_belongs_whoever_goes_first(sampler, monkeypatch):
    class Betas:
        def __init__(self, device):
            pass

        def time(self, beta):
            return (beta, beta)

    monkeypatch.setattr(overhead, "_start", lambda at, beta, **_: beta)
    monkeypatch.setattr(overhead, "Clock", Betas)
    measured = measure_overhead(sampler, ["one"], pairs=3)
    assert measured.plain.wall == [0.0] * 3
    assert measured.explored.wall == [0.5] * 3


def test_there_must_be_something_to_measure(sampler):
    with pytest.raises(ValueError, match=r"pairs must be an integer >= 2, got 1"):
        measure_overhead(sampler, ["one two"], pairs=1)
    with pytest.raises(ValueError, match=r"max_new_tokens must be an integer >= 4, got 3"):
        measure_step_overhead(sampler, ["one two"], max_new_tokens=3)


def test_steps_are_timed_where_work_runs_beside_them_too(tokenizer):
    sampler = ESampSampler(tiny_model(), tokenizer, scheduler="thread")
    overhead = measure_step_overhead(sampler, ["one two"], n=2, max_new_tokens=6, pairs=2)
    assert len(overhead.plain.wall) == len(overhead.explored.wall) == 8


def test_a_step_ends_when_nothing_is_left_to_do_beside_it(tokenizer):
    sampler = ESampSampler(tiny_model(), tokenizer, scheduler="thread")
    other, done, records = twin(sampler), threading.Event(), []

    class Keep(Callback):
        def on_step(self, record):
            records.append(record)

    sampler.generate("one two", 1, max_new_tokens=1, callbacks=[Keep()])
    held = other.scheduler.submit(lambda: done.wait(timeout=60))
    work = sampler.scheduler.submit(lambda: time.sleep(0.05) or "done")
    Settle(sampler.scheduler).on_step(records[0])
    assert work.value() == "done"
    done.set()  # the other one's work was not waited for
    assert other.scheduler.wait(held)
