"""Hypothesis strategies for what the maths of a decode step takes. Needs hypothesis, which esamp itself does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from esamp.candidates import Filters
from esamp.rows import Rows

__all__ = ["Fusible", "bursts", "filters", "fusible", "layouts", "logits", "masks", "seeds", "tensors"]

# hypothesis.strategies.DrawFn is a protocol that run-time type checkers cannot check.
Draw = Callable[..., Any]

seeds = st.integers(0, 2**63 - 1)
"""Seeds of draws."""


_ALL = 10**6


def bursts() -> st.SearchStrategy[list[int]]:
    """What `Program.order` takes: how many items each stream may run in its turn, few or as many as it can."""
    return st.lists(st.integers(0, 40) | st.sampled_from([0, 1, _ALL]), max_size=40)


@st.composite
def tensors(draw: Draw, *shape: int, bound: float = 10.0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Gaussian tensors whose scale, up to `bound`, is drawn: from almost equal entries to widely spread ones.

    Hypothesis draws the seed and the scale, not every entry, which keeps examples cheap.
    """
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.floats(1e-3, bound, allow_nan=False))
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


@st.composite
def logits(draw: Draw, rows: int, tokens: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Logits [rows, tokens]: ordinary, with ties, extreme (±1e4), or constant; entry by entry, so that ties are met."""
    ordinary = st.floats(-20, 20, width=32)
    tied = st.sampled_from([-2.0, 0.0, 0.5, 1.0, 3.0])
    extreme = st.sampled_from([-1e4, -1e2, 0.0, 1e2, 1e4])
    entry = draw(st.sampled_from([ordinary, tied, extreme, st.just(1.0)]))
    entries = draw(st.lists(entry, min_size=rows * tokens, max_size=rows * tokens))
    return torch.tensor(entries, dtype=dtype).view(rows, tokens)


@st.composite
def masks(draw: Draw, rows: int, candidates: int) -> Tensor:
    """Which places of candidate lists hold a candidate: at least one in each row, anywhere."""
    held = draw(st.lists(st.booleans(), min_size=rows * candidates, max_size=rows * candidates))
    mask = torch.tensor(held, dtype=torch.bool).view(rows, candidates)
    sure = draw(st.lists(st.integers(0, candidates - 1), min_size=rows, max_size=rows))
    mask[torch.arange(rows), torch.tensor(sure, dtype=torch.int64)] = True
    return mask


@dataclass(frozen=True)
class Fusible:
    """The arguments of a fusion: logits z and ẑ [rows, candidates], β [rows], mask [rows, candidates]."""

    reference: Tensor
    distilled: Tensor
    beta: Tensor
    mask: Tensor


@st.composite
def fusible(draw: Draw, dtype: torch.dtype = torch.float64, low: float = 0.0, high: float = 3.0) -> Fusible:
    """Arguments of a fusion, with a β in [low, high] for each row."""
    rows, candidates = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    beta = draw(st.lists(st.floats(low, high), min_size=rows, max_size=rows))
    return Fusible(
        draw(tensors(rows, candidates, dtype=dtype)),
        draw(tensors(rows, candidates, dtype=dtype)),
        torch.tensor(beta, dtype=dtype),
        draw(masks(rows, candidates)),
    )


@st.composite
def filters(draw: Draw) -> Filters:
    """Temperature and any combination of the filters, their edge values often."""
    return Filters(
        draw(st.sampled_from([1.0, 0.5, 0.7, 2.0]) | st.floats(0.05, 20.0)),
        draw(st.none() | st.integers(1, 40)),
        draw(st.none() | st.sampled_from([1.0, 0.999, 1e-9]) | st.floats(0.01, 1.0)),
        draw(st.none() | st.sampled_from([0.0, 0.05, 0.999]) | st.floats(0.0, 0.99)),
        draw(st.none() | st.sampled_from([1.0, 0.2, 0.95]) | st.floats(0.01, 1.0)),
        draw(st.none() | st.sampled_from([0.0, 3e-4, 0.1]) | st.floats(0.0, 0.99)),
        draw(st.none() | st.sampled_from([0.0, 3e-4, 0.1]) | st.floats(0.0, 0.99)),
        draw(st.none() | st.sampled_from([0.5, 1.0, 2.0])),
        draw(st.none() | st.sampled_from([1.0, 0.5])),
    )


@st.composite
def layouts(draw: Draw, groups: int, lanes: int) -> Rows:
    """Some of the rows of a bank of `groups` times `lanes`, at least one, in any order; samples of a second wave."""
    places = draw(st.lists(st.integers(0, groups * lanes - 1), min_size=1, unique=True))
    flat = torch.tensor(places, dtype=torch.int64)
    beta = torch.full(flat.shape, 0.5)
    return Rows(flat // lanes, flat % lanes, lanes + flat % lanes, torch.zeros_like(flat), beta)
