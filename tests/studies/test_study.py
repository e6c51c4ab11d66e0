"""A study's units: what they depend on, and what makes a study impossible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from esamp.studies.arm import Arm
from esamp.studies.study import Study, StudyTask
from esamp.tasks import PromptsTask


def prompts(*texts: str, name: str = "prompts", chat: bool = True, longest: int = 8) -> StudyTask:
    task = PromptsTask(list(texts))
    return StudyTask(name, task, task.problems(), {"task": "prompts"}, longest, chat)


SWEEP = [Arm.sweep(0.7, {"min_p": 0.05}), Arm.sweep(1.0, {"min_p": 0.05})]
ARMS = [*SWEEP, Arm("mlp", {"distiller": "mlp", "beta": 0.5})]
STUDY = Study("a model", [prompts("one", "two", "three")], n=4, seeds=[0, 1], arms=ARMS, batch_size=2)


def keys(study: Study) -> list[str]:
    return [unit.key for unit in study.units()]


def test_every_arm_meets_every_batch_and_seeds_come_one_after_another():
    met = [(unit.seed, unit.arm.name, [p.id for p in unit.problems], unit.rows) for unit in STUDY.units()]
    assert met == [
        (seed, name, ids, 4 * len(ids))
        for seed in (0, 1)
        for name in ("plain T=0.7", "plain T=1", "mlp")
        for ids in (["0", "1"], ["2"])
    ]
    assert STUDY.rows == 2 * 3 * 3 * 4


def test_keys_are_readable_unique_and_stable():
    assert len(set(keys(STUDY))) == 12
    assert keys(STUDY) == keys(replace(STUDY))
    assert keys(STUDY)[0].startswith("plain-t-0.7-prompts-s0-")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "another"},
        {"dtype": "bfloat16"},
        {"tasks": [prompts("four", "five", "six")]},
        {"tasks": [prompts("one", "two", "three", chat=False)]},
        {"tasks": [prompts("one", "two", "three", longest=9)]},
        {"tasks": [prompts("one", "two", "three", name="others")]},
        {"n": 5},
        {"arms": [replace(arm, settings={**arm.settings, "min_p": 0.1}) for arm in ARMS]},
    ],
    ids=["model", "dtype", "problems", "chat", "longest", "task's name", "n", "settings"],
)
def test_whatever_the_rows_depend_on_is_in_the_key(change):
    assert not set(keys(STUDY)) & set(keys(replace(STUDY, **change)))


def test_another_arm_or_seed_leaves_the_keys_of_the_others_alone():
    more = replace(STUDY, arms=[*ARMS, Arm("frozen", {"distiller": "frozen", "beta": 0.5})], seeds=[0, 1, 2])
    assert set(keys(STUDY)) < set(keys(more))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": []}, "tasks must hold at least one"),
        ({"tasks": [prompts("one"), prompts("two")]}, "tasks must differ, and 'prompts' stands there twice"),
        ({"seeds": []}, "seeds must hold at least one"),
        ({"seeds": [0, 0]}, "seeds must differ"),
        ({"arms": []}, "arms must hold at least one"),
        ({"arms": [*SWEEP, SWEEP[0]]}, "arms must differ, and 'plain T=0.7' stands there twice"),
    ],
)
def test_an_impossible_study_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(STUDY, **change)
