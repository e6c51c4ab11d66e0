"""vLLM's tokens are drawn from what the Explorer makes of the same hidden states, as in the Hugging Face engine."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from esamp import Callback, ESampSampler
from esamp.bank import Bank
from esamp.callbacks import StepRecord
from esamp.candidates import Candidates, Filters
from esamp.distillers import RecursiveLeastSquaresDistiller
from esamp.draws import Choice, Drawing
from esamp.engines.vllm.installation import installation_of
from esamp.engines.vllm.step import Step
from esamp.explorer import Explorer
from esamp.fusion import BetaMix
from esamp.llm import FrozenLLM
from esamp.rows import Rows
from esamp.schedulers import SynchronousScheduler
from tests.vllm.driving import drive, params, tokens, watched
from tests.vllm.test_alignment import PROMPTS, requests

Distribution = dict[int, float]


def distributions(step: Step) -> dict[tuple[str, int, int], Distribution]:
    """log p of the candidates, by (last word of the group, sample, step), of the rows that count."""
    return {
        (place.member.group.key.rpartition(" ")[2], place.member.sample, place.step): as_dict(
            step.fused.candidates, step.fused.log_probs, i
        )
        for i, place in enumerate(step.places)
        if step.alive[i]
    }


def as_dict(candidates: Candidates, log_probs: torch.Tensor, row: int) -> Distribution:
    mask = candidates.mask[row]
    return dict(zip(candidates.ids[row][mask].tolist(), log_probs[row][mask].tolist(), strict=True))


def largest_difference(got: dict[Any, Distribution], wanted: dict[Any, Distribution]) -> float:
    assert got.keys() == wanted.keys()
    for key in wanted:
        assert got[key].keys() == wanted[key].keys(), key
    return max(abs(got[key][token] - log_prob) for key in wanted for token, log_prob in wanted[key].items())


def test_fused_logits_are_those_of_an_explorer_that_sees_one_group_alone(engine: Any) -> None:
    """Offline, a bank of one slot is shown one group's rows of each step: nobody else has a part in it."""
    with watched(engine) as steps:
        drive(engine, requests("offline"), every=3)
    head = installation_of(engine.llm_engine.vllm_config).explorer.bank.head
    for group in (f"offline {name}" for name in PROMPTS):
        bank = Bank(RecursiveLeastSquaresDistiller(), BetaMix(), FrozenLLM(head), 1)
        alone = Explorer(bank, 8, SynchronousScheduler(), Filters(top_p=1.0))
        moved = 0.0
        for step in steps:
            mine = [i for i, place in enumerate(step.places) if place.member.group.key == group]
            if not mine:
                continue
            index = torch.tensor(mine)
            here = step.rows[index]
            rows = Rows(torch.zeros_like(here.slot), here.lane, here.sample, here.step, here.beta)
            alone.begin(step.shallow[index], rows)
            fused = alone.fuse(step.deep[index], step.reference[index])
            alone.learn(step.deep[index], step.drawn.tokens[index], step.alive[index])
            logits = step.fused.logits[index][:, : fused.logits.shape[1]]
            torch.testing.assert_close(logits, fused.logits, atol=2e-4, rtol=2e-4)
            moved = max(moved, float((fused.logits - step.reference[index]).abs().max()))
        assert moved > 0.1, "the fusion changed nothing: the test compares plain logits"


class Kept(Callback):
    def __init__(self) -> None:
        self.seen: dict[tuple[str, int, int], Distribution] = {}
        self.tokens: dict[tuple[str, int, int], int] = {}

    def on_step(self, record: StepRecord) -> None:
        for i, (prompt, sample) in enumerate(zip(record.prompt.tolist(), record.sample.tolist(), strict=True)):
            key = (str(prompt), sample, record.step)
            self.seen[key] = as_dict(record.fused.candidates, record.fused.log_probs, i)
            self.tokens[key] = int(record.drawn.tokens[i])


FILTERS = [
    {"min_p": 0.05},
    {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.02},
    {"temperature": 1.3, "min_p": None},
]


@pytest.mark.parametrize("filters", FILTERS, ids=["min-p", "all", "none"])
def test_same_seed_same_texts_as_the_hugging_face_engine(
    roomy_engine: Any, reference_model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, filters: dict[str, Any]
) -> None:
    sampler, kept = ESampSampler(reference_model, roomy_engine.get_tokenizer(), beta=0.5), Kept()
    prompts = ["the sea is wide", "a bird in the hand is worth two"]
    wanted = sampler.generate(
        prompts, n=4, max_new_tokens=30, seed=11, ignore_eos=True, callbacks=[kept], **({"min_p": None} | filters)
    )
    asked = {f"esamp_{name}": value for name, value in filters.items() if value and name != "temperature"}
    shared = {"temperature": filters.get("temperature", 1.0), "esamp_seed": 11} | asked
    with watched(roomy_engine) as steps:
        run = f"like {sorted(filters)}"
        asked_for = [(f"{run} {i}", p, params(f"{run} {i}", 4, 30, **shared)) for i, p in enumerate(prompts)]
        outputs = drive(roomy_engine, asked_for)
    got = [tokens(outputs[f"{run} {i}"]) for i in range(len(prompts))]
    assert got == [[sample.token_ids.tolist() for sample in samples] for samples in wanted.samples]
    seen = {key: value for step in steps for key, value in distributions(step).items()}
    assert largest_difference(seen, kept.seen) < 1e-3


class Dictated(Drawing):
    """Draws what the Hugging Face engine drew."""

    said: dict[tuple[int, int], list[int]]

    def __init__(self, seed: torch.Tensor) -> None:
        self.seed = seed

    def __call__(self, log_probs: Any, candidates: Candidates, rows: Rows, place: torch.Tensor) -> Choice:
        # The seed of a row tells its prompt.
        keys = zip(self.seed.tolist(), rows.sample.tolist(), rows.step.tolist(), strict=True)
        wanted = torch.tensor([self.said[prompt, sample][step] for prompt, sample, step in keys])
        return Choice.of((candidates.ids == wanted.unsqueeze(-1)).float().argmax(dim=-1), log_probs)


def test_teacher_forced_on_the_embedded_model_every_distribution_is_the_hugging_face_engines(
    embedded_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = ["Name a dish I have never heard of.", "The sea is"]
    kept = Kept()
    sampler = ESampSampler.from_pretrained("smollm2-135m", dtype=torch.float32, beta=0.5)
    wanted = sampler.generate(prompts, n=4, max_new_tokens=24, seed=3, ignore_eos=True, callbacks=[kept])
    del sampler
    said = {
        (prompt, sample.index): sample.token_ids.tolist()
        for prompt, samples in enumerate(wanted.samples)
        for sample in samples
    }
    monkeypatch.setattr(Dictated, "said", said, raising=False)
    asked = [
        (str(i), prompt, params(str(i), 4, 24, esamp_seed=i, esamp_min_p=0.05)) for i, prompt in enumerate(prompts)
    ]
    with monkeypatch.context() as dictation, watched(embedded_engine) as steps:
        dictation.setattr("esamp.engines.vllm.step.GumbelDrawing", Dictated)
        outputs = drive(embedded_engine, asked)
    assert [tokens(outputs[str(i)]) for i in range(2)] == [[said[i, j] for j in range(4)] for i in range(2)]
    seen = {key: value for step in steps for key, value in distributions(step).items()}
    assert largest_difference(seen, kept.seen) < 1e-3
    # And left to itself, with the same seed, it writes the same texts.
    outputs = drive(
        embedded_engine,
        [(f"again {i}", p, params(f"again {i}", 4, 24, esamp_seed=3, esamp_min_p=0.05)) for i, p in enumerate(prompts)],
    )
    assert [[sample.text for sample in outputs[f"again {i}"].outputs] for i in range(2)] == wanted.texts
