"""Runs the cells of a study, one after another, and keeps each as soon as it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.metrics import Embedder
from esamp.sampler import ESampSampler
from esamp.studies.store import CellStore
from esamp.studies.study import Cell, Study

__all__ = ["Done", "run_study"]


@dataclass(frozen=True)
class Done:
    """A cell that is kept.

    Attributes:
        cell: which one.
        seconds: how long `generate` took; None: it had been run before.
        left: cells that are still to be run.
    """

    cell: Cell
    seconds: float | None
    left: int


def run_study(study: Study, engine: HuggingFaceEngine, embedder: Embedder, store: CellStore) -> Iterator[Done]:
    """Run what is not in the store yet; yields after each cell.

    Args:
        study: the study.
        engine: the model of the study.
        embedder: for Vendi and cosine.
        store: where cells are kept.
    """
    cells = list(study.cells())
    left = sum(not store.has(cell) for cell in cells)
    for cell in cells:
        if store.has(cell):
            yield Done(cell, None, left)
            continue
        sampler = ESampSampler(engine.model, engine.tokenizer, **cell.arm.parts)
        start = time.perf_counter()
        result = sampler.generate(
            study.prompts,
            study.n,
            max_new_tokens=study.max_new_tokens,
            seed=cell.seed,
            chat=study.chat and engine.tokenizer.chat_template is not None,
            batch_size=study.batch_size,
            **cell.arm.options,
        )
        seconds = time.perf_counter() - start
        store.write(cell, result, embedder, seconds)
        left -= 1
        yield Done(cell, seconds, left)
