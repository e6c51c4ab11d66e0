"""From rows to scores and comparisons, held against numbers worked out by hand or otherwise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from esamp.studies.contrasts import AT_EQUAL_PERPLEXITY, best_plain, contrast_task, line_gain
from esamp.studies.evaluated import read_run
from esamp.studies.frontier import Measured, gain
from esamp.studies.palette import DARK, LIGHT, looks
from esamp.studies.ragged import Ragged
from esamp.studies.report import Report, report_json, report_markdown
from esamp.studies.report_figures import draw
from esamp.studies.roles import role_of
from esamp.studies.step_curves import mean_curve, token_curves
from esamp.studies.task_scores import TaskScores, score_tasks
from tests.report.synthetic import CONTROL, ESAMP, rows, write_run


def scored(folder: Path, made: list[dict[str, Any]]) -> TaskScores:
    return score_tasks(read_run(write_run(folder, made)), None)[0]


def naming(**changes: Any) -> list[dict[str, Any]]:
    return [row | changes for row in rows(problems=3, n=4) if row["task"] == "naming"]


def test_pass_at_k_and_answers_are_those_of_the_verdicts(tmp_path: Path):
    made = naming()
    for row in made:
        right = row["arm"] == ESAMP and row["index"] < 2
        row |= {"correct": right, "answer": f"bird {row['index']}" if right else None}
    task = scored(tmp_path / "run", made)
    # Two of four are right: 1 - C(2, k) / C(4, k).
    assert task.pass_at_k[ESAMP].mean(dim=0).tolist() == pytest.approx([0.5, 5 / 6, 1, 1])
    assert task.answers_at_k[ESAMP].mean(dim=0).tolist() == pytest.approx([0.5, 1, 1.5, 2])
    assert task.scores["pass"][CONTROL].tolist() == [0, 0, 0]
    assert task.scores["valid"][ESAMP].tolist() == pytest.approx([0.5] * 3)


def test_a_second_seed_is_averaged_and_no_further_problem(tmp_path: Path):
    made = naming(correct=True)
    twice = made + [row | {"seed": 1, "correct": False} for row in made]
    task = scored(tmp_path / "run", twice)
    assert (task.seeds, task.n, len(task.problems)) == (2, 4, 3)
    assert task.scores["pass"][ESAMP].tolist() == [0.5] * 3


def test_problems_that_an_arm_lacks_are_left_out_and_counted(tmp_path: Path):
    made = [row for row in naming() if not (row["arm"] == CONTROL and row["problem"] == "bird 1")]
    task = scored(tmp_path / "run", made)
    assert task.problems == ["bird 0", "bird 2"]
    # Those of the other arms.
    assert task.left_out == len(task.arms) - 1
    nothing = [row for row in naming() if row["problem"] == ("bird 0" if row["arm"] == ESAMP else "bird 1")]
    with pytest.raises(ValueError, match="task 'naming' has no problem that every arm was run on"):
        scored(tmp_path / "other", nothing)


def test_a_seed_that_an_arm_lacks_counts_for_no_arm(tmp_path: Path):
    made = naming(correct=True)
    second = [row | {"seed": 1, "correct": False} for row in made if row["arm"] != CONTROL]
    task = scored(tmp_path / "run", made + second)
    assert (task.seeds, len(task.problems), task.left_out) == (1, 3, 3 * (len(task.arms) - 1))
    assert task.scores["pass"][ESAMP].tolist() == [1.0] * 3


def test_one_right_answer_a_problem_leaves_distinct_answers_out(tmp_path: Path):
    made = [row | {"answer": row["problem"] if row["correct"] else None} for row in naming()]
    assert "answers" not in scored(tmp_path / "run", made).scores


def test_the_line_to_beat_is_the_best_plain_arm_of_each_measure(report: Report):
    task = report.tasks[0].scores
    means = {name: float(task.scores["answers"][name].mean()) for name in task.named("plain")}
    best = best_plain(task, "answers")
    assert best is not None and means[best] == max(means.values())
    lowest = best_plain(task, "cosine")
    assert lowest is not None
    assert float(task.scores["cosine"][lowest].mean()) == min(float(task.scores["cosine"][n].mean()) for n in means)
    assert best_plain(task, "perplexity") is None
    found = [c for c in report.tasks[0].contrasts if c.measure == "answers" and c.kind == "plain" and c.headline]
    assert {c.against for c in found} == {best}


def test_guards_are_held_against_the_same_arm_as_the_gain(report: Report):
    for task in report.tasks:
        against = {(c.arm, c.against) for c in task.contrasts if c.headline and c.kind == "plain"}
        assert against <= {(c.arm, c.against) for c in task.contrasts if c.measure == "repetition"}


def test_a_baseline_may_be_named(report: Report):
    found = contrast_task(report.tasks[0].scores, CONTROL)
    assert {c.against for c in found if c.headline and c.kind == "plain"} == {CONTROL}
    with pytest.raises(ValueError, match="baseline must be one of"):
        contrast_task(report.tasks[0].scores, "nobody")


def test_the_gain_at_equal_perplexity_is_that_of_the_frontier(report: Report):
    task = report.tasks[1].scores
    vendi = {arm.name: Measured(task.log_perplexity[arm.name], task.scores["vendi"][arm.name]) for arm in task.arms}
    wanted = gain(vendi[ESAMP], [vendi[name] for name in task.named("plain")]).relative
    (found,) = [c for c in report.tasks[1].contrasts if c.headline and c.arm == ESAMP and c.kind == "plain"]
    assert found.against == AT_EQUAL_PERPLEXITY and found.relative
    assert (found.difference.value, found.difference.low) == pytest.approx((wanted.value, wanted.low), abs=1e-5)
    (rival,) = [c for c in report.tasks[1].contrasts if c.kind == "control"]
    above = line_gain(task, "vendi", ESAMP)[0] - line_gain(task, "vendi", CONTROL)[0]
    assert rival.difference.value == pytest.approx(float(above))


@pytest.mark.parametrize(
    ("settings", "plain", "role"),
    [
        ({"distiller": "frozen"}, False, "control"),
        ({"distiller": {"class_path": "esamp.distillers.noise.NoiseDistiller"}, "beta": 0.5}, False, "control"),
        ({"distiller": "mlp", "sharing": "per_sample"}, False, "control"),
        ({"sharing": "esamp.sharing.PerSample", "beta": 0.5}, False, "control"),
        ({"distiller": "mlp", "sharing": "per_prompt"}, False, "trained"),
        ({"distiller": "low_rank(rank=4)"}, False, "trained"),
        ({"beta": 0.5}, False, "trained"),
        ({"method": "arithmetic"}, False, "peer"),
        ({}, False, "trained"),
        ({"distiller": "frozen"}, True, "plain"),
    ],
)
def test_roles_come_from_settings(settings: dict[str, Any], plain: bool, role: str):
    assert role_of(settings, plain) == role


def test_curves_average_the_living_and_end_where_half_have_ended(tmp_path: Path):
    made = naming()
    for row in made:
        row |= {"token_ids": [1] * (2 + row["index"]), "novelty": [9.0, 4.0, 2.0, 1.0, 0.5][: 2 + row["index"]]}
    run = read_run(write_run(tmp_path / "run", made))
    curve = token_curves(run, "naming", run.samples.novelty, first=1)[ESAMP]
    # Lengths 2, 3, 4, 5: two of four reach step 4.
    assert curve.x == [2, 3, 4]
    assert curve.value == pytest.approx([4, 2, 1])
    assert curve.low == pytest.approx(curve.high)


def test_a_curve_has_its_interval_around_it_and_skips_what_nobody_has():
    values = torch.tensor([[1.0, math.nan, 0.0], [3.0, math.nan, 1.0], [5.0, math.nan, math.nan]])
    curve = mean_curve([1.0, 2.0, 3.0], values)
    assert curve.x == [1, 3] and curve.value == pytest.approx([3, 0.5])
    assert all(low <= value <= high for low, value, high in zip(curve.low, curve.value, curve.high, strict=True))


def test_ragged_rows_are_what_they_were():
    made = Ragged.of([[1.0, 2.0], [], [3.0]])
    assert [made[row].tolist() for row in range(len(made))] == [[1, 2], [], [3]]
    assert made.take([2, 0]).padded(2).nan_to_num(-1).tolist() == [[3, -1], [1, 2]]


def test_figures_are_drawn_in_both_themes_and_are_not_empty(report: Report):
    names = [plot.name for task in report.tasks for plot in task.plots]
    assert {"pass-naming", "answers-naming", "frontier-vendi-telling", "cosine-telling", "novelty-telling"} <= set(
        names
    )
    assert len(names) == len(set(names))
    for task in report.tasks:
        found = looks(task.scores.arms)
        for plot in task.plots:
            light, dark = (draw(plot, found, theme) for theme in (LIGHT, DARK))
            assert light != dark and light.count(b"<path") > 10
            shown = [*plot.curves, *(name for name in plot.points if name not in plot.line)]
            assert shown and all(found[name].light.encode() in light for name in shown), plot.name
            assert all(found[name].dark.encode() in dark for name in shown), plot.name
        assert draw(task.plots[0], found, LIGHT, "png").startswith(b"\x89PNG")


def test_arms_have_looks_of_their_own(report: Report):
    found = looks(report.tasks[0].scores.arms).values()
    assert len({(look.light, look.marker, look.dashes) for look in found}) == len(found)


def test_the_summaries_hold_the_numbers(report: Report):
    plain = report_json(report)
    esamp = plain["tasks"]["naming"]["arms"][ESAMP]
    assert esamp["role"] == "trained" and len(esamp["pass_at_k"]["value"]) == 6
    text = report_markdown(report)
    assert f"| {ESAMP} (trained) | {esamp['scores']['pass']['value']:.1%}" in text
    assert text.startswith(report.words.paragraph[0])
