"""NaN and infinity wherever they can come from: their group is sampled plainly, or the run says what is wrong."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from esamp import ESampSampler
from esamp.callbacks import JSONLWriter
from esamp.distillers import Distiller, LowRankDistiller
from esamp.distillers.wrapper import DistillerWrapper
from esamp.explorer import Explorer
from esamp.policy import Fused
from esamp.result import GenerationResult
from esamp.rows import Rows
from esamp.testing.models import tiny_model, tiny_tokenizer

PROMPTS, N, STEPS = ["one two three", "four five", "six"], 3, 8
BAD = [float("nan"), float("inf"), -float("inf"), 1e30]
_begin, _fuse = Explorer.begin, Explorer.fuse
_where = {"prompt": st.integers(0, len(PROMPTS) - 1), "at": st.integers(0, STEPS - 2), "value": st.sampled_from(BAD)}


class Spoiled(DistillerWrapper):
    """Says something that is no number of one group, in one step: as its prediction or as its loss."""

    def __init__(self, distiller: Distiller | None, group: int, at: int, value: float, what: str) -> None:
        super().__init__(distiller or LowRankDistiller(rank=4))
        self.group, self.at, self.value, self.what, self.calls = group, at, value, what, 0

    def forward(self, shallow: Tensor) -> Tensor:
        self.calls += 1
        return self._spoil(super().forward(shallow), "prediction")

    def learn(self, shallow: Tensor, deep: Tensor, weight: Tensor) -> Tensor:
        return self._spoil(super().learn(shallow, deep, weight), "loss")

    def _spoil(self, values: Tensor, what: str) -> Tensor:
        if what == self.what and self.calls == self.at + 1:
            values = values.clone()
            values[self.group] = self.value
        return values


@functools.cache
def undisturbed() -> tuple[ESampSampler, GenerationResult]:
    sampler = ESampSampler(tiny_model(), tiny_tokenizer(), distiller=LowRankDistiller(rank=4), beta=1.0)
    return sampler, draw(sampler)


def draw(sampler: ESampSampler, **options: Any) -> GenerationResult:
    return sampler.generate(PROMPTS, N, max_new_tokens=STEPS, ignore_eos=True, **options)


def tokens(result: GenerationResult, prompt: int) -> list[list[int]]:
    return [sample.token_ids.tolist() for sample in result.samples[prompt]]


def only(result: GenerationResult, prompt: int) -> None:
    """One reset, of that prompt's distiller; every other prompt's samples are those of an undisturbed run."""
    wanted = undisturbed()[1]
    assert result.diagnostics.resets.tolist() == [int(index == prompt) for index in range(len(PROMPTS))]
    for other in set(range(len(PROMPTS))) - {prompt}:
        assert tokens(result, other) == tokens(wanted, other)
    assert all(sample.log_probs.isfinite().all() for samples in result.samples for sample in samples)


@settings(max_examples=6)
@given(what=st.sampled_from(["prediction", "loss"]), **_where)
def test_a_distiller_that_breaks_is_reset_and_nobody_else_notices(
    prompt: int, at: int, value: float, what: str
) -> None:
    value = float("nan") if what == "loss" and abs(value) == 1e30 else value  # a large loss is a loss
    broken = Spoiled(None, prompt, at, value, what)
    only(draw(ESampSampler(tiny_model(), tiny_tokenizer(), distiller=broken, beta=1.0)), prompt)


@settings(max_examples=6)
@given(name=st.sampled_from(["shallow", "deep"]), **_where)
def test_hidden_states_that_are_no_numbers_cost_their_group_one_step(
    prompt: int, at: int, value: float, name: str
) -> None:
    # A large first layer is normalised before it is read.
    value, step = float("nan") if (name, value) == ("shallow", 1e30) else value, 0

    def begin(self: Explorer, shallow: Tensor, rows: Rows) -> None:
        nonlocal step
        step += 1
        _begin(self, _spoil(shallow, prompt * N, value, name == "shallow" and step == at + 1), rows)

    def fuse(self: Explorer, deep: Tensor, reference: Tensor) -> Fused:
        return _fuse(self, _spoil(deep, prompt * N, value, name == "deep" and step == at + 1), reference)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Explorer, "begin", begin)
        patch.setattr(Explorer, "fuse", fuse)
        only(draw(undisturbed()[0]), prompt)


def _spoil(hidden: Tensor, row: int, value: float, now: bool) -> Tensor:
    return hidden.index_fill(0, torch.tensor([row]), value) if now else hidden


@settings(max_examples=6)
@given(filtered=st.sampled_from([{}, {"min_p": None}, {"top_k": 3}, {"beta": 0.0}]), **_where)
def test_logits_that_are_no_numbers_end_the_run_by_name(prompt: int, at: int, value: float, filtered: dict) -> None:
    """Nothing can be drawn from them, and a token drawn all the same would be a lie."""
    sampler, calls = undisturbed()[0], 0
    forward = sampler.engine.forward

    def spoiled(*arguments: Any) -> Any:
        nonlocal calls
        logits, cache = forward(*arguments)
        calls += 1
        if calls == at + 1:
            logits = logits.clone()
            row = prompt if at == 0 else prompt * N
            if value == -float("inf"):
                logits[row] = value  # everything is forbidden
            else:
                logits[row, 7] = float("nan") if value == 1e30 else value
        return logits, cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampler.engine, "forward", spoiled)
        with pytest.raises(
            ValueError, match=rf"model must give logits that are numbers.*prompts\[{prompt}\]; load it in"
        ):
            draw(sampler, **filtered)
    # The sampler is as good as before.
    assert tokens(draw(sampler), prompt) == tokens(undisturbed()[1], prompt)


def test_samples_that_ended_before_are_on_disk(tmp_path: Path) -> None:
    sampler, calls = undisturbed()[0], 0
    forward = sampler.engine.forward

    def spoiled(*arguments: Any) -> Any:
        nonlocal calls
        logits, cache = forward(*arguments)
        calls += 1
        return (logits * torch.nan if calls > STEPS + 2 else logits), cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampler.engine, "forward", spoiled)
        with pytest.raises(ValueError, match="logits that are numbers"):
            draw(sampler, batch_size=1, callbacks=[JSONLWriter(tmp_path / "out.jsonl")])
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["token_ids"] for line in lines] == tokens(undisturbed()[1], 0)
