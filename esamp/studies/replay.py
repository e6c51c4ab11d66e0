"""Are the rows of two runs the same?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esamp.studies.rows import KEY, read_rows

__all__ = ["Comparison", "compare"]

_DRAWN = ("text", "token_ids")


@dataclass(frozen=True)
class Comparison:
    """Two runs, row by row.

    Attributes:
        equal: rows of both with the same text and tokens.
        differing: keys of rows of both that differ.
        missing: keys of rows that the second run lacks.
        added: keys of rows that only the second run has.
    """

    equal: int
    differing: list[tuple[Any, ...]]
    missing: list[tuple[Any, ...]]
    added: list[tuple[Any, ...]]

    @property
    def same(self) -> bool:
        """Every row of one is in the other, with the same text and tokens."""
        return not (self.differing or self.missing or self.added)

    def summary(self) -> str:
        """One line: how many rows are equal, and the first that is not."""
        whole = self.equal + len(self.differing) + len(self.missing) + len(self.added)
        if self.same:
            return f"all {whole} rows are equal in text and tokens"
        kinds = (("differ", self.differing), ("are missing", self.missing), ("are new", self.added))
        counted = ", ".join(f"{len(keys)} {kind}" for kind, keys in kinds if keys)
        first = next(keys[0] for _, keys in kinds if keys)
        named = ", ".join(f"{name} {value!r}" for name, value in zip(KEY, first, strict=True))
        return f"{self.equal} of {whole} rows are equal in text and tokens; {counted}; the first: {named}"


def compare(first: Path, second: Path) -> Comparison:
    """Compare the rows of two runs by text and token ids.

    Raises:
        ValueError: a folder holds no rows.
    """
    old, new = _drawn(first), _drawn(second)
    both = [key for key in old if key in new]
    differing = [key for key in both if old[key] != new[key]]
    return Comparison(
        len(both) - len(differing),
        differing,
        [key for key in old if key not in new],
        [key for key in new if key not in old],
    )


def _drawn(folder: Path) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = read_rows(folder, [*KEY, *_DRAWN]).to_pylist()
    return {tuple(row[name] for name in KEY): tuple(row[name] for name in _DRAWN) for row in rows}
