"""Our loop against transformers' own, on the same work."""

from __future__ import annotations

import pytest
import torch

from esamp import ESampSampler
from esamp.studies.speed.against_generate import (
    AgainstGenerate,
    Workload,
    generate_ours,
    generate_theirs,
    measure_against_generate,
)
from esamp.studies.speed.pairs import Times
from esamp.studies.speed.peak_memory import measure_peak_memory
from esamp.studies.speed.spec import SamplerSpec
from esamp.testing.models import tiny_model


@pytest.fixture
def sampler(tokenizer):
    return ESampSampler(tiny_model(), tokenizer)


def test_both_draw_as_many_tokens_and_take_turns(sampler, monkeypatch):
    ran = []
    ours, theirs = ESampSampler.generate, type(sampler.engine.model).generate
    monkeypatch.setattr(ESampSampler, "generate", lambda self, *a, **k: (ran.append("o"), ours(self, *a, **k))[1])
    monkeypatch.setattr(
        type(sampler.engine.model), "generate", lambda self, *a, **k: (ran.append("t"), theirs(self, *a, **k))[1]
    )
    measured = measure_against_generate(sampler, Workload(["one two", "three"], n=2, max_new_tokens=5), pairs=3)
    assert "".join(ran) == "to" + "ottoot"  # one pair warms up
    assert measured.our_tokens == measured.their_tokens == [20] * 3
    assert len(measured.ours.wall) == len(measured.theirs.cpu) == 3


def test_generate_runs_without_esamp_and_with_the_same_filter_only(sampler, monkeypatch):
    calls = []
    own = type(sampler.engine.model).generate
    monkeypatch.setattr(
        type(sampler.engine.model),
        "generate",
        lambda self, **named: (calls.append((self.generation_config.eos_token_id, named)), own(self, **named))[1],
    )
    before = sampler.engine.model.generation_config
    state = torch.get_rng_state()
    generate_theirs(sampler, Workload(["one"], n=3, max_new_tokens=4, min_p=0.1), seed=1)
    ((eos, named),) = calls
    assert eos is None  # rows go to their full length
    assert (named["do_sample"], named["num_return_sequences"], named["min_p"], named["top_k"]) == (True, 3, 0.1, 0)
    assert "custom_generate" not in named
    assert sampler.engine.model.generation_config is before
    assert torch.equal(state, torch.get_rng_state())


def test_ragged_rows_end_where_the_model_ends_them(tokenizer):
    model = tiny_model()
    with torch.no_grad():  # a model that is fond of its end token
        model.get_output_embeddings().weight[1] = 0
        model.get_output_embeddings().weight[1, :32] = 0.9
    sampler = ESampSampler(model, tokenizer)
    full, ragged = (Workload(["one"], n=16, max_new_tokens=24, min_p=None, ragged=ends) for ends in (False, True))
    for generate in (generate_ours, generate_theirs):
        assert generate(sampler, full, 0) == 16 * 24
        assert 16 <= generate(sampler, ragged, 0) < 16 * 24


def test_the_ratio_is_of_tokens_per_second():
    measured = AgainstGenerate(Times([1.0, 2.0], [1.0, 1.0]), Times([2.0, 2.0], [2.0, 1.0]), [10, 30], [10, 10])
    assert measured.speedup.median == pytest.approx(2.5)
    assert measured.cpu_speedup.median == pytest.approx(2.5)
    assert measured.speeds == pytest.approx((40 / 3, 20 / 4))
    assert measured.to_dict()["ours"]["tokens"] == [10, 30]
    assert "2.50 x the tokens/s" in measured.summary()


def test_esamp_must_be_on(tokenizer):
    with pytest.raises(ValueError, match="beta must be > 0"):
        measure_against_generate(ESampSampler(tiny_model(), tokenizer, beta=0.0), Workload(["one"]))


def _allocates(sampler: ESampSampler, workload: Workload, seed: int) -> int:
    return torch.ones(workload.max_new_tokens, 2**18).shape[0]  # a MiB each


def test_the_peak_is_that_of_the_work_in_a_fresh_process():
    spec = SamplerSpec("random-llama-tiny", device="cpu")
    peak = measure_peak_memory(spec, Workload(["one"], max_new_tokens=400), _allocates)
    assert peak.device is None
    assert 350 * 2**20 < peak.peak - peak.loaded < 450 * 2**20
