"""Lists of different lengths, one a row, kept as one tensor, so that many samples are not many objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

__all__ = ["Ragged"]


@final
@dataclass(frozen=True)
class Ragged:
    """Row r holds `values[starts[r]:starts[r + 1]]`.

    Attributes:
        values: of all rows, one after the other, [total].
        starts: where each row begins, and after them the total, int64 [rows + 1].

    >>> Ragged.of([[1.0, 2.0], [], [3.0]])[0]
    tensor([1., 2.])
    """

    values: Shaped[Tensor, " total"]
    starts: Int[Tensor, " bounds"]

    @classmethod
    def of(cls, rows: Sequence[Sequence[float]]) -> Ragged:
        """The same from lists."""
        lengths = torch.tensor([0, *(len(row) for row in rows)])
        return cls(torch.tensor([value for row in rows for value in row]), lengths.cumsum(0))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> Shaped[Tensor, " length"]:
        return self.values[int(self.starts[row]) : int(self.starts[row + 1])]

    @property
    def lengths(self) -> Int[Tensor, " rows"]:
        """Number of values of each row."""
        return self.starts.diff()

    def take(self, rows: Sequence[int]) -> Ragged:
        """These rows, in this order."""
        parts = [self[row] for row in rows]
        lengths = torch.tensor([0, *(len(part) for part in parts)])
        return Ragged(torch.cat(parts) if parts else self.values[:0], lengths.cumsum(0))

    def padded(self, width: int) -> Shaped[Tensor, "rows width"]:
        """The first `width` values of each row, float; NaN where a row is shorter."""
        rows = torch.repeat_interleave(torch.arange(len(self)), self.lengths)
        steps = torch.arange(len(self.values)) - self.starts[rows]
        filled = torch.full((len(self), width), torch.nan)
        kept = steps < width
        filled[rows[kept], steps[kept]] = self.values[kept].float()
        return filled
