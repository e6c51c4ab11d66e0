"""Continuations of a book: plain text, cut off at places that are the same every time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

from typing_extensions import override

from esamp.checks import check_integer
from esamp.tasks.base import Problem, Verdict, tasks
from esamp.tasks.dataset import DATA, TemplateTask, content_id

__all__ = ["BookContinuations"]


@tasks.register("book")
@final
class BookContinuations(TemplateTask):
    """Passages to be gone on with; no continuation is right or wrong, and the book's own is the problem's reference.

    Args:
        path: a UTF-8 text file, or several; None: the first chapter of "Alice's Adventures in Wonderland".
        words: length of a passage.
        positions: index of the word at which each passage begins; None: one passage after the other.
        template: a YAML file, or the name of a shipped template; None: the passage alone.
        start: index of the first problem.
        limit: how many problems; None: all.

    Raises:
        FileNotFoundError: there is no such template.
        TypeError: a number is not an integer.
        ValueError: the file is no template, or a number is out of range.
    """

    family = "book"

    def __init__(
        self,
        path: str | Path | Sequence[str | Path] | None = None,
        words: int = 100,
        positions: Sequence[int] | None = None,
        template: str | Path | None = None,
        start: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(template, start, limit)
        given = DATA / "alice.txt" if path is None else path
        self.paths: list[Path] = [Path(given)] if isinstance(given, str | Path) else [Path(each) for each in given]
        self.words: int = check_integer("words", words, low=1)
        self.positions: list[int] | None = (
            None if positions is None else [check_integer("positions", each, low=0) for each in positions]
        )

    @override
    def all_problems(self) -> Iterator[Problem]:
        for path in self.paths:
            text = _read(path)
            spans = [word.span() for word in re.finditer(r"\S+", text)]
            last = len(spans) - self.words - 1
            if last < 0:
                raise ValueError(f"words must be below the {len(spans)} words of {path.name}, got {self.words}")
            for position in range(0, last + 1, self.words) if self.positions is None else self.positions:
                if position > last:
                    raise ValueError(f"positions must be at most {last} in {path.name}, got {position}")
                passage = text[spans[position][0] : spans[position + self.words - 1][1]]
                after = spans[position + self.words : position + 2 * self.words]
                name = content_id(f"book/{path.stem}-{position}", passage)
                yield Problem(name, self.template.render({"passage": passage}), text[after[0][0] : after[-1][1]])

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict(correct=None)


def _read(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"path must be a text file, and there is no file {str(path)!r}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is no UTF-8: {error}") from error
