"""From logits to candidates: temperature and the filters decide what may be drawn, nothing else does."""

from __future__ import annotations

from esamp.candidates.filters import MIN_TEMPERATURE, Candidates, FilterOptions, Filters
from esamp.candidates.row_filters import RowFilters, filters_of_rows
from esamp.candidates.temperatures import Temperatures

__all__ = [
    "MIN_TEMPERATURE",
    "Candidates",
    "FilterOptions",
    "Filters",
    "RowFilters",
    "Temperatures",
    "filters_of_rows",
]
