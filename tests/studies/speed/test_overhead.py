from __future__ import annotations

import pytest

from esamp import Callback, ESampSampler
from esamp.studies.speed.overhead import Overhead, measure_overhead
from esamp.testing.models import tiny_model


class Settings(Callback):
    def __init__(self):
        self.betas, self.lengths = [], []

    def on_generate_start(self, start):
        self.betas.append(start.settings["beta"])

    def on_generate_end(self, result):
        self.lengths += [len(sample.token_ids) for sample in result.samples[0]]


def test_pairs_alternate_and_do_equal_work(tokenizer):
    seen = Settings()
    sampler = ESampSampler(tiny_model(), tokenizer, beta=0.5)
    overhead = measure_overhead(sampler, ["one two"], n=2, max_new_tokens=5, pairs=3, callbacks=[seen])
    assert seen.betas == [0.0, 0.5] * 4  # one pair warms up
    assert set(seen.lengths) == {5}
    assert overhead.tokens == 10
    assert len(overhead.plain) == len(overhead.explored) == 3


def test_the_median_is_over_the_ratios_of_pairs():
    overhead = Overhead(plain=[1.0, 2.0, 4.0], explored=[1.1, 2.0, 5.0], tokens=100)
    assert overhead.median_share == pytest.approx(0.1)
    assert overhead.quartiles == pytest.approx((0.05, 0.175))
    assert "+10.0%" in overhead.summary()
    assert "+5.0% and +17.5%" in overhead.summary()
    assert "50.0 tokens/s plain" in overhead.summary()


def test_there_must_be_something_to_measure(tokenizer):
    sampler = ESampSampler(tiny_model(), tokenizer, beta=0.0)
    with pytest.raises(ValueError, match="beta must be > 0"):
        measure_overhead(sampler, ["one two"])
    with pytest.raises(ValueError, match=r"pairs must be an integer >= 2, got 1"):
        measure_overhead(ESampSampler(tiny_model(), tokenizer), ["one two"], pairs=1)
