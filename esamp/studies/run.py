"""Runs the units of a study, one after another, and keeps each as soon as it is done."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Sequence
from typing import Any

from esamp.callbacks import JSONLWriter
from esamp.studies.engines import StudyEngine
from esamp.studies.record import record
from esamp.studies.store import RunFolder
from esamp.studies.study import Unit

__all__ = ["run_units"]


def run_units(units: Sequence[Unit], engine: StudyEngine, folder: RunFolder) -> Iterator[Unit]:
    """Run units and keep their rows; yields after each.

    The engine looks at every arm before the first sample is drawn, and may prefer another order. While a unit runs,
    each sample is written when it is finished: a unit that is cut short leaves them behind, and is run whole when the
    study goes on, for its samples have learnt from each other.

    Raises:
        TypeError: a setting of an arm is of the wrong type.
        ValueError: a setting of an arm is wrong or does not fit the model, or a prompt does not fit its context.
    """
    for unit in engine.prepare(units):
        start = time.perf_counter()
        sampler, task = engine.sampler(unit.arm), unit.task
        options: dict[str, Any] = dict(unit.arm.options)
        if "callbacks" in inspect.signature(sampler.generate).parameters:
            options["callbacks"] = [JSONLWriter(folder.samples_of(unit))]
        result = sampler.generate(
            [problem.prompt for problem in unit.problems],
            unit.study.n,
            max_new_tokens=task.max_new_tokens,
            seed=unit.seed,
            chat=task.chat and engine.has_chat_template,
            stop=list(task.task.stop),
            **options,
        )
        seconds = time.perf_counter() - start
        folder.write(unit, record(unit, result, seconds))
        yield unit
