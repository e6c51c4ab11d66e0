"""A study's cells: what they depend on, and what makes a study impossible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from esamp.studies.arm import Arm
from esamp.studies.study import Study

SWEEP = [Arm.plain(0.7, {"min_p": 0.05}), Arm.plain(1.0, {"min_p": 0.05})]
STUDY = Study("a model", ["one", "two"], 4, 8, [0, 1], [*SWEEP, Arm("mlp", {"distiller": "mlp", "beta": 0.5})])


def keys(study: Study) -> list[str]:
    return [cell.key for cell in study.cells()]


def test_every_arm_meets_every_seed_and_seeds_come_one_after_another():
    assert [(cell.seed, cell.arm.name) for cell in STUDY.cells()] == [
        (seed, name) for seed in (0, 1) for name in ("plain T=0.7", "plain T=1", "mlp")
    ]


def test_keys_are_readable_unique_and_stable():
    assert len(set(keys(STUDY))) == 6
    assert keys(STUDY) == keys(replace(STUDY))
    assert keys(STUDY)[0].startswith("plain-t-0.7-s0-")


@pytest.mark.parametrize(
    "change",
    [{"model": "another"}, {"prompts": ["one", "three"]}, {"n": 5}, {"max_new_tokens": 9}, {"chat": False}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_the_samples_depend_on_is_in_the_key(change):
    assert not set(keys(STUDY)) & set(keys(replace(STUDY, **change)))


def test_another_arm_leaves_the_keys_of_the_others_alone():
    more = replace(STUDY, arms=[*STUDY.arms, Arm("frozen", {"distiller": "frozen", "beta": 0.5})], seeds=[0, 1, 2])
    assert set(keys(STUDY)) < set(keys(more))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": ["one"]}, "prompts must hold at least 2"),
        ({"prompts": ["one", "one"]}, "prompts must differ, and 'one' stands there twice"),
        ({"seeds": []}, "seeds must hold at least one number"),
        ({"seeds": [0, 0]}, "seeds must differ"),
        ({"arms": SWEEP[:1]}, "plain must hold at least 2 temperatures"),
        ({"arms": [*SWEEP, SWEEP[0]]}, "arms must differ, and 'plain T=0.7' stands there twice"),
    ],
)
def test_an_impossible_study_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(STUDY, **change)
