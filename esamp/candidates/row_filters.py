"""Filters that differ from row to row, for engines whose batches mix requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from esamp.candidates.filters import Candidates, Filters
from esamp.schedules import Schedule

__all__ = ["RowFilters", "filters_of_rows"]


@final
class RowFilters:
    """Stands in for `Filters` where rows are filtered in different ways: each way is applied to its own rows.

    Args:
        places: of each way of filtering, the places of its rows; together they are all rows, each once.
    """

    def __init__(self, places: Mapping[Filters, Int[Tensor, " some"]]) -> None:
        self.places: dict[Filters, Tensor] = dict(places)
        self._order = torch.cat(list(self.places.values())).argsort()

    @property
    def temperature(self) -> Schedule:
        """T is a matter of the row."""
        return lambda step: self.temperatures(step).squeeze(-1)

    def temperatures(self, step: Int[Tensor, " rows"]) -> Float[Tensor, "rows 1"]:
        """T of each row, by the number of tokens it has."""
        parts = [filters.temperatures(step[place]) for filters, place in self.places.items()]
        return torch.cat(parts)[self._order]

    def select(
        self, logits: Float[Tensor, "rows vocab"], temperature: Float[Tensor, "rows 1"] | None = None
    ) -> Candidates:
        """The candidates of each row, at `temperature` or that of step 0; `logits` are float32, before temperature."""
        if temperature is None:
            temperature = self.temperatures(torch.zeros(len(logits), dtype=torch.int64, device=logits.device))
        parts = [filters.select(logits[place], temperature[place]) for filters, place in self.places.items()]
        width = max(part.ids.shape[1] for part in parts)

        def joined(columns: list[Tensor]) -> Tensor:
            return torch.cat([pad(column, (0, width - column.shape[1])) for column in columns])[self._order]

        return Candidates(
            joined([part.ids for part in parts]),
            joined([part.reference for part in parts]),
            joined([part.mask for part in parts]),
            whole_vocabulary=all(part.whole_vocabulary for part in parts),
        )


def filters_of_rows(rows: Sequence[Filters], device: torch.device) -> Filters | RowFilters:
    """The filters of a batch from those of its rows: themselves where all are the same.

    >>> filters_of_rows([Filters(min_p=0.1)] * 3, torch.device("cpu")).min_p
    0.1
    """
    places: dict[Filters, list[int]] = {}
    for place, filters in enumerate(rows):
        places.setdefault(filters, []).append(place)
    if len(places) == 1:
        return next(iter(places))
    return RowFilters({filters: _sent(some, device) for filters, some in places.items()})


def _sent(places: list[int], device: torch.device) -> Tensor:
    """Numbers on a device, without waiting for it."""
    pinned = torch.tensor(places, pin_memory=device.type == "cuda")
    return pinned.to(device, non_blocking=True)
