"""The arithmetic of the floors, by hand, against the kernels' own and against real models and banks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from esamp.distillers import (
    HierarchicalDistiller,
    LinearDistiller,
    LowRankDistiller,
    MLPDistiller,
    NoiseDistiller,
    RecursiveLeastSquaresDistiller,
)
from esamp.kernels import trial as trial_module
from esamp.kernels.candidate_filter.reference import min_p_candidates
from esamp.kernels.trial import Sizes, Trial
from esamp.studies.speed.roofline.distillers import candidate_head, esamp_step, floors
from esamp.studies.speed.roofline.machines import Machine, Work, measure_machine
from esamp.studies.speed.roofline.models import (
    LLAMA_1B,
    LLAMA_70B,
    QWEN_8B,
    SMOLLM_135M,
    Batch,
    Model,
    decode_step,
    devices_needed,
    read_model,
)
from esamp.studies.speed.roofline.tables import all_tables
from esamp.testing.random_llama import RANDOM_LLAMAS

_ROOT = Path(__file__).parents[3]
_TOY = Machine("toy", bandwidth=100.0, half=50.0, single=10.0, memory=1e3, source="made up")
_TINY = Model(
    "tiny", d=8, layers=2, heads=2, key_value_heads=1, head_dim=4, inner=16, vocabulary=32, tied=True, weight=4
)


def test_a_machine_takes_as_long_as_the_slower_of_memory_and_arithmetic():
    assert _TOY.seconds(Work(bytes=200.0, half=50.0)) == 2.0
    assert _TOY.seconds(Work(bytes=200.0, half=50.0, single=20.0)) == 3.0
    with pytest.raises(ValueError, match="bandwidth must be a finite number in"):
        Machine("none", 0.0, 1.0, 1.0, 1.0, "")


def test_a_decode_step_by_hand():
    # A layer: q 64, k and v 32 each, o 64; three matrices of 128; two norms of 8.
    weights = 2 * (192 + 384 + 16) + 8 + 32 * 8
    assert _TINY.read == _TINY.parameters == weights == 1448
    step = decode_step(_TINY, Batch(prompts=2, n=3, context=5))
    assert step.bytes == 4 * (1448 + 6 * 5 * 2 * 2 * 4)
    assert step.single == 2 * 1448 * 6 + 4 * 6 * 5 * 2 * 8
    assert step.half == 0


def test_the_llms_have_the_parameters_that_they_are_known_for():
    known = {SMOLLM_135M: 134_515_008, LLAMA_1B: 1_235_814_400, LLAMA_70B: 70_553_706_496}
    assert {model: model.parameters for model in known} == known
    assert QWEN_8B.parameters == pytest.approx(8_190_735_360, rel=1e-5)  # without the norms of queries and keys


@pytest.mark.parametrize("tied", [False, True])
def test_a_model_of_transformers_is_read_from_its_configuration(tied: bool):
    config = LlamaConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
    )
    model = read_model(config, 4)
    assert model.parameters == sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    size = RANDOM_LLAMAS["random-llama-1b"].config()
    assert read_model(size, 2).parameters == LLAMA_1B.parameters


@pytest.mark.parametrize(("model", "memory", "count"), [(QWEN_8B, 24e9, 1), (LLAMA_70B, 80e9, 2), (LLAMA_70B, 24e9, 8)])
def test_a_model_is_split_until_it_fits(model: Model, memory: float, count: int):
    assert devices_needed(model, Machine("m", 1.0, 1.0, 1.0, memory, "")) == count


def test_the_mlp_agrees_with_the_floor_of_its_kernels(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trial_module, "select", min_p_candidates)  # needs no GPU
    sizes = Sizes(d=64, inner=24, slots=3, lanes=5, vocabulary=128, width=128, head=torch.float32)
    trial = Trial(sizes, "cpu")
    mine = floors(MLPDistiller(width=24), 64, 3, 5)
    logits = trial.logits.numel() * 4  # plain sampling filters them too
    tokens = trial.floors["predict and fuse"] - logits - mine.predict.bytes
    assert tokens > 0 and tokens % (64 * 4) == 0  # rows of the head, and nothing else
    assert mine.learn.bytes == trial.floors["learn"]


def test_least_squares_by_hand():
    d, half, size, groups, lanes = 4, 1, 3, 2, 2
    cost = floors(RecursiveLeastSquaresDistiller(features=half), d, groups, lanes)
    root, mapping, rows = groups * size * size * 4, groups * size * d * 4, groups * lanes
    assert cost.predict.bytes == 2 * d * half * 4 + mapping + 2 * rows * d * 4
    assert cost.learn.bytes == 3 * root + 2 * mapping + 2 * rows * d * 4
    assert cost.predict.single == rows * (2 * d * 2 * half + 2 * size * d)
    by_hand = 3 * 2 * rows * size**2 + 4 * rows * lanes * size + groups * lanes**3 / 3 + 2 * rows * lanes * d
    assert cost.learn.single == by_hand + 2 * rows * size * d


@pytest.mark.parametrize("d", [96, 576])
@pytest.mark.parametrize(
    "distiller",
    [
        RecursiveLeastSquaresDistiller(),
        LowRankDistiller(rank=16),
        LowRankDistiller(storage="bfloat16"),
        MLPDistiller(),
        LinearDistiller(),
        HierarchicalDistiller(),
    ],
    ids=lambda distiller: type(distiller).__name__,
)
def test_the_state_is_what_a_distiller_says_its_memory_is(distiller, d: int):
    assert floors(distiller, d, 4, 3).state == distiller.memory(d)


def test_a_trunk_is_read_once_and_leaves_as_often_as_there_are_groups():
    one, many = (floors(HierarchicalDistiller(), 64, groups, 1).predict.bytes for groups in (1, 11))
    leaf = 4 * (3 * 64 * 8 + 2 * 64)
    # Beside the leaves, the rows go in and out of both levels.
    assert many - one == 10 * (leaf + 2 * 2 * 64 * 4)


def test_candidates_are_no_more_than_the_vocabulary():
    few, all_of_it = (candidate_head(_TINY, Batch(1, n, candidates=4)) for n in (2, 64))
    assert few.bytes == 8 * 8 * 4 + 2 * 8 * 4
    assert all_of_it.bytes == 32 * 8 * 4 + 64 * 8 * 4


def test_a_floor_that_is_not_derived_is_refused():
    with pytest.raises(TypeError, match="got NoiseDistiller"):
        esamp_step(NoiseDistiller(), _TINY, Batch(1, 1))


def test_this_machine_has_a_bandwidth_and_a_rate():
    machine = measure_machine(torch.device("cpu"))
    assert min(machine.bandwidth, machine.single, machine.half) > 1e6


def test_the_tables_of_the_page_are_those_of_the_command():
    page = (_ROOT / "docs/cost.md").read_text()
    for name, table in all_tables().items():
        shown = page.split(f"<!-- esamp bench roofline --table {name} -->")[1].split("<!-- end -->")[0]
        assert shown.strip() == table
