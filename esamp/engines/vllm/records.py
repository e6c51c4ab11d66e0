"""What requests leave behind, token by token, for whoever asks: what `esamp.result.Sample` is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from esamp.engines.vllm.step import Step
from esamp.explorer import Explorer

__all__ = ["COLUMNS", "Records"]

COLUMNS = ("token_ids", "log_probs", "reference_log_probs", "novelty", "kl", "candidates", "loss", "resets")
"""What is recorded of each token, and the loss of its group in that step, with how often it was reset so far."""


@dataclass(frozen=True)
class _Page:
    """One step of the rows that are recorded: whose they are, and their numbers, float64 [rows, columns]."""

    marks: list[str]
    alive: Tensor
    values: Tensor


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
        wanted = [i for i, place in enumerate(step.places) if place.member.request.record is not None]
        if not wanted:
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
        )
        marks = [str(step.places[i].member.request.record) for i in wanted]
        page = torch.stack([column.double() for column in columns], dim=-1)
        index = torch.tensor(wanted, device=page.device)
        self._pages.append(_Page(marks, step.alive[index], page[index]))

    def collect(self, run: str) -> list[dict[str, Any]]:
        """The records whose marks begin with `run`, as plain values; they are forgotten here."""
        found: dict[str, list[list[float]]] = {}
        kept: list[_Page] = []
        for page in self._pages:
            if not any(mark.startswith(run) for mark in page.marks):
                kept.append(page)
                continue
            for mark, alive, values in zip(page.marks, page.alive.tolist(), page.values.tolist(), strict=True):
                if alive and mark.startswith(run):
                    found.setdefault(mark, []).append(values)
        self._pages = kept
        return [
            {"mark": mark} | dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
            for mark, rows in found.items()
        ]
