"""A unit's samples as rows, judged by the unit's task."""

from __future__ import annotations

import math
from typing import Any

from esamp.result import GenerationResult, Sample
from esamp.studies.study import Unit
from esamp.tasks import Problem, Task, Verdict

__all__ = ["FAILED", "record"]

FAILED = "verifier failed: "
"""What the detail of a row begins with whose verifier raised."""

_TOKENS = ("token_ids", "log_probs", "reference_log_probs", "novelty", "kl", "candidates")


def record(unit: Unit, result: GenerationResult, seconds: float) -> list[dict[str, Any]]:
    """The rows of a unit, in the order of problems and samples.

    Args:
        unit: what was run.
        result: what `generate` gave back for its problems.
        seconds: how long that took.
    """
    head = {"arm": unit.arm.name, "plain": unit.arm.plain, "temperature": unit.arm.temperature}
    head |= {"task": unit.task.name, "seed": unit.seed, "seconds": seconds / unit.rows}
    rows: list[dict[str, Any]] = []
    learnt = _learnt(result)
    for problem, prompt, samples, of_group in zip(unit.problems, result.prompts, result.samples, learnt, strict=True):
        for sample in samples:
            verdict = _judge(unit.task.task, problem, sample.text)
            rows.append(
                {**head, "problem": problem.id, "prompt": prompt, **_drawn(sample), **of_group}
                | {"correct": verdict.correct, "answer": verdict.answer, "detail": verdict.detail}
            )
    return rows


def _judge(task: Task, problem: Problem, text: str) -> Verdict:
    """The task's verdict. A verifier that fails must not take the sample with it."""
    try:
        return task.verify(problem, text)
    except Exception as error:
        return Verdict(None, detail=f"{FAILED}{type(error).__name__}: {error}")


def _drawn(sample: Sample) -> dict[str, Any]:
    columns = sample.to_dict()
    return {name: columns[name] for name in ("index", "text", "finish_reason", *_TOKENS)}


def _learnt(result: GenerationResult) -> list[dict[str, Any]]:
    """Mean loss and resets of each prompt's distiller."""
    groups, prompts = len(result.diagnostics.resets), len(result.prompts)
    named: list[Any] = result.settings.get("groups") or []
    number = {group: index for index, group in enumerate(dict.fromkeys(sorted(named)))}
    # Groups are numbered in the order of their keys; a sampler without distillers names none and has none.
    of_prompt = [number[group] for group in named] if len(number) == groups else list(range(prompts))
    if groups != len(number or of_prompt):
        return [{"loss": None, "resets": 0}] * prompts
    losses = result.diagnostics.loss.double().nanmean(dim=1).tolist() if groups else []
    resets = result.diagnostics.resets.tolist()
    return [{"loss": None if math.isnan(losses[g]) else losses[g], "resets": resets[g]} for g in of_prompt]
