"""How the time of a step grows with rows, prompts, hidden size and vocabulary, with ESamp and without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from esamp.bank import Bank
from esamp.checks import check_choice, check_integer
from esamp.distillers import Distiller
from esamp.fusion import BetaMix
from esamp.head import Head
from esamp.llm import FrozenLLM
from esamp.sampler import ESampSampler
from esamp.studies.speed.overhead import Overhead, measure_step_overhead
from esamp.studies.speed.pairs import Spread
from esamp.testing.models import tiny_tokenizer
from esamp.testing.random_llama import LlamaSize, random_llama

__all__ = ["AXES", "Line", "Point", "bank_bytes", "fit_line", "lines", "measure_growth"]

AXES: dict[str, tuple[int, ...]] = {
    "rows": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    "prompts": (1, 2, 4, 8, 16, 32, 64),
    "hidden_size": (256, 512, 1024, 2048, 4096),
    "vocabulary": (8_192, 32_768, 65_536, 131_072, 262_144),
}
"""What grows, and through which values; everything else stands still meanwhile."""

# Of the model on which rows and prompts grow, and of the workload on which the model does.
_BASE, _ROWS_OF_A_PROMPT, _ROWS = LlamaSize(), 4, 16
_PROMPT = "A story of a lighthouse"


@final
@dataclass(frozen=True)
class Point:
    """The steps at one value of an axis.

    Attributes:
        axis: what grows.
        value: how far.
        plain: seconds of a step with β = 0.
        explored: seconds of a step with ESamp.
        share: what ESamp adds, of each pair of steps.
        cpu_share: the same in processor time.
    """

    axis: str
    value: int
    plain: Spread
    explored: Spread
    share: Spread
    cpu_share: Spread

    @classmethod
    def of(cls, axis: str, value: int, measured: Overhead) -> Point:
        """From pairs of steps."""
        plain, explored = Spread.of(measured.plain.wall), Spread.of(measured.explored.wall)
        return cls(axis, value, plain, explored, measured.wall, measured.cpu)


@final
@dataclass(frozen=True)
class Line:
    """y = start + slope · x, fitted so that the squares of the relative errors are least.

    Attributes:
        start: y at x = 0.
        slope: y for each x.
        worst: largest |y - line| / line among the points: a cliff would stand far above it.
    """

    start: float
    slope: float
    worst: float


def fit_line(x: Sequence[int | float], y: Sequence[float]) -> Line:
    """The line through positive y.

    >>> fit_line([1, 2, 4], [3.0, 5.0, 9.0]).slope
    2.0
    """
    # With weights 1/y², which make a relative error of what would be an absolute one.
    weights = [1 / (value * value) for value in y]
    total = sum(weights)
    mean_x, mean_y = (sum(w * v for w, v in zip(weights, values, strict=True)) / total for values in (x, y))
    spread = sum(w * (a - mean_x) ** 2 for w, a in zip(weights, x, strict=True))
    shared = sum(w * (a - mean_x) * (b - mean_y) for w, a, b in zip(weights, x, y, strict=True))
    slope = round(shared / spread, 12) if spread else 0.0
    start = mean_y - slope * mean_x
    worst = max(abs(b / (start + slope * a) - 1) if start + slope * a > 0 else 1.0 for a, b in zip(x, y, strict=True))
    return Line(start, slope, worst)


def measure_growth(
    axis: str, values: Sequence[int], *, steps: int = 10, min_p: float = 0.05, base: LlamaSize = _BASE, **parts: Any
) -> Iterator[Point]:
    """Measure a shallow random model in float32 at each value of the axis, one after the other.

    Rows are samples of one prompt; each prompt has 4; where the model grows there are 16 rows of one prompt. The inner
    width of its MLP is three times the hidden size, the width of a head is 64.

    Args:
        axis: one of `AXES`.
        values: of it, ascending.
        steps: of a run; all but the first and the last are timed, with ESamp and without in turn.
        min_p: the filter.
        base: the model on which rows and prompts grow.
        **parts: the keyword arguments of `ESampSampler`.

    Raises:
        ValueError: an argument is out of range.
    """
    check_choice("axis", axis, AXES)
    for value in values:
        check_integer(axis, value, low=1)
    sampler, last = None, None
    for value in values:
        size = _size(base, axis, value)
        if sampler is None or size != last:
            sampler, last = ESampSampler(random_llama(size, torch.float32), tiny_tokenizer(), **parts), size
        prompts = [_PROMPT] * (value if axis == "prompts" else 1)
        n = value if axis == "rows" else _ROWS_OF_A_PROMPT if axis == "prompts" else _ROWS
        measured = measure_step_overhead(sampler, prompts, n=n, max_new_tokens=steps, min_p=min_p, pairs=1)
        yield Point.of(axis, value, measured)


def bank_bytes(distiller: Distiller, hidden_size: int) -> int:
    """Bytes that one more group takes in a real bank, after it has learnt; `distiller.memory` predicts it."""

    def size(groups: int) -> int:
        head = Head(torch.zeros(8, hidden_size))
        bank = Bank(distiller, BetaMix(), FrozenLLM(head), groups)
        lesson = torch.ones(groups, 1, hidden_size)
        bank.learn(lesson, lesson, torch.ones(groups, 1), torch.zeros(groups, dtype=torch.bool))
        held = (*bank.distiller.parameters(), *bank.distiller.buffers())
        return sum(storage.nbytes() for storage in {t.data_ptr(): t.untyped_storage() for t in held}.values())

    return size(3) - size(2)


def _size(base: LlamaSize, axis: str, value: int) -> LlamaSize:
    if axis == "vocabulary":
        return replace(base, vocab_size=value)
    if axis == "hidden_size":
        heads = max(value // base.head_dim, 1)
        groups = heads // 2 if heads % 2 == 0 else heads
        return replace(base, hidden_size=value, heads=heads, key_value_heads=groups, intermediate_size=3 * value)
    return base


def lines(points: Sequence[Point]) -> dict[str, Line]:
    """The lines through the medians of a step's time, without ESamp and with it."""
    x = [float(point.value) for point in points]
    return {name: fit_line(x, [getattr(point, name).median for point in points]) for name in ("plain", "explored")}
