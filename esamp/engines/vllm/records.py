"""What requests leave behind, token by token, for whoever asks: what `esamp.result.Sample` is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from esamp.engines.vllm.step import Step
from esamp.explorer import Explorer

__all__ = ["COLUMNS", "Records"]

COLUMNS = (
    "token_ids",
    "log_probs",
    "reference_log_probs",
    "novelty",
    "kl",
    "candidates",
    "loss",
    "resets",
    "exhausted",
)
"""What is recorded of each token, and the loss of its group in that step, how often it was reset so far, and whether it
was given up for want of memory."""


@dataclass(frozen=True, eq=False)
class _Page:
    """One step: the marks of its rows, None where nothing is asked; which count; and their numbers, float64."""

    marks: list[str | None]
    alive: Bool[Tensor, " rows"]
    values: Float[Tensor, "rows columns"]

    def of(self, run: str) -> Iterator[tuple[str, list[float]]]:
        """Marks that begin with `run`, of rows that count, each with its numbers. Waits for the device."""
        for mark, alive, values in zip(self.marks, self.alive.tolist(), self.values.tolist(), strict=True):
            if alive and mark is not None and mark.startswith(run):
                yield mark, values


class Records:
    """Keeps pages on the device until they are collected.

    Args:
        explorer: whose steps they are.
    """

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._pages: list[_Page] = []

    def write(self, step: Step) -> None:
        """Keep what the step says of requests that are to be recorded."""
        marks = [place.member.request.record for place in step.places]
        if not any(marks):
            return
        fused, drawn = step.fused, step.drawn
        chosen = step.reference.gather(-1, drawn.tokens.unsqueeze(-1)).squeeze(-1)
        columns = (
            drawn.tokens,
            drawn.log_probs,
            chosen - step.reference.logsumexp(dim=-1),
            fused.error_norm,
            fused.kl,
            fused.candidates.count(),
            self._explorer.losses()[step.rows.slot],
            self._explorer.resets()[step.rows.slot],
            self._explorer.exhausted()[step.rows.slot],
        )
        self._pages.append(_Page(marks, step.alive, torch.stack([column.double() for column in columns], dim=-1)))

    def collect(self, run: str) -> list[dict[str, Any]]:
        """The records whose marks begin with `run`, as plain values; they are forgotten here."""
        found: dict[str, list[list[float]]] = {}
        mine = [page for page in self._pages if any(mark and mark.startswith(run) for mark in page.marks)]
        self._pages = [page for page in self._pages if page not in mine]
        for page in mine:
            for mark, values in page.of(run):
                found.setdefault(mark, []).append(values)
        return [
            {"mark": mark} | dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
            for mark, rows in found.items()
        ]
