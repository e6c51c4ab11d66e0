"""What tasks share: a template for the prompts, a window of the problems, rows from a file or the hub."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from esamp.checks import check_integer
from esamp.tasks.base import Problem, Task
from esamp.tasks.hub import Hub, hub_rows
from esamp.tasks.rows import FORMATS, Row, read_rows
from esamp.tasks.template import Template, read_template

__all__ = ["DATA", "SAMPLE", "DatasetTask", "TemplateTask", "content_id"]

DATA = Path(__file__).parent / "data"
"""Folder of what ships with the library; `SOURCES.md` there says where it comes from."""

SAMPLE = "sample"
"""Given as `path`: the rows that ship with the library."""


class TemplateTask(Task):
    r"""A task whose prompts come from a template, and of whose problems a window can be taken.

    Args:
        template: a YAML file, or the name of a shipped template; None: the task's own.
        start: index of the first problem.
        limit: how many problems; None: all.

    Attributes:
        family: folder of the shipped templates that fit.
        default_template: the name of one of them.

    Raises:
        FileNotFoundError: there is no such template.
        TypeError: `start` or `limit` is not an integer.
        ValueError: the file is no template, or `start` or `limit` is out of range.

    Examples:
        A sample counts up to the first stop string, whether the engine has cut it there or not:

        >>> from esamp.tasks import ClosedLists
        >>> task: TemplateTask = ClosedLists(start=3, limit=2)
        >>> [problem.id for problem in task.problems()], task.stop
        (['closed_lists/a-country-in-Europe', 'closed_lists/a-chemical-element'], ['\n'])
        >>> task.cut(" Blue.\nQ: Name a bird.")
        ' Blue.'
    """

    family: ClassVar[str]
    default_template: ClassVar[str] = "zero_shot"

    def __init__(self, template: str | Path | None = None, start: int = 0, limit: int | None = None) -> None:
        self.template: Template = read_template(self.family, self.default_template if template is None else template)
        self.start: int = check_integer("start", start, low=0)
        self.limit: int | None = None if limit is None else check_integer("limit", limit, low=1)
        self.chat: bool = self.template.chat
        self.stop: Sequence[str] = self.template.stop
        self.max_new_tokens: int = self.template.max_new_tokens

    @abstractmethod
    def all_problems(self) -> Iterator[Problem]:
        """Every problem there is, in an order that stays the same."""

    @override
    def problems(self) -> list[Problem]:
        # Ids are told apart over all problems, so that a window's are those of the whole.
        stop = None if self.limit is None else self.start + self.limit
        chosen = list(islice(_distinct(self.all_problems()), self.start, stop))
        if not chosen:
            raise ValueError(
                f"start must be below the number of problems, got {self.start}; {self} has no problem there"
            )
        return chosen

    def cut(self, text: str) -> str:
        """A sample up to the first of the stop strings, whoever has or has not cut it there before."""
        return text[: min((text.find(stop) for stop in self.stop if stop in text), default=len(text))]

    @override
    def __repr__(self) -> str:
        return type(self).__name__


class DatasetTask(TemplateTask):
    """A task whose problems are the rows of a data set.

    Args:
        path: a file in the data set's own format (JSON lines, a JSON list, or CSV; gzipped or not); "sample": the rows
            that ship with the library; None: the data set on the Hugging Face hub, by the package `datasets`.
        template: a YAML file, or the name of a shipped template; None: the task's own.
        start: index of the first problem.
        limit: how many problems; None: all.

    Attributes:
        hub: where the whole data set lies.
        sample: file name of the rows that ship with the library; None where its licence or its authors forbid it.

    Raises:
        FileNotFoundError: there is no such template.
        TypeError: `start` or `limit` is not an integer.
        ValueError: the file is no template, `start` or `limit` is out of range, or no rows ship with the library.

    Examples:
        A data set of one's own, with the prompts of a template that ships:

        >>> import json, tempfile
        >>> from esamp.tasks.rows import Row
        >>> from esamp.tasks import Problem, Verdict
        >>> class Capitals(DatasetTask):
        ...     family = "open"
        ...     def problem(self, row: Row) -> Problem:
        ...         prompt = self.template.render({"prompt": row.text("ask")})
        ...         return Problem(row.text("id"), prompt, reference=row.text("capital"))
        ...     def verify(self, problem: Problem, text: str) -> Verdict:
        ...         return Verdict(problem.reference in text)
        >>> with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        ...     _ = file.write(json.dumps({"id": "fr", "ask": "The capital of France?", "capital": "Paris"}))
        ...     file.flush()
        ...     task = Capitals(file.name)
        ...     problem = task.problems()[0]
        >>> problem.id, problem.prompt, task.verify(problem, "Paris, of course").correct
        ('fr', 'The capital of France?', True)
    """

    hub: ClassVar[Hub]
    sample: ClassVar[str | None] = None

    def __init__(
        self,
        path: str | Path | None = None,
        template: str | Path | None = None,
        start: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(template, start, limit)
        self.path = path
        if path == SAMPLE and self.sample is None:
            raise ValueError(f"path must be a file for {self}, of which no rows ship with the library, got {path!r}")

    @abstractmethod
    def problem(self, row: Row) -> Problem:
        """The problem of one row.

        Raises:
            ValueError: the row is not in the data set's format.
        """

    @override
    def all_problems(self) -> Iterator[Problem]:
        return map(self.problem, self._rows())

    def _rows(self) -> Iterator[Row]:
        if self.path == SAMPLE and self.sample is not None:
            return read_rows(DATA / self.sample)
        if self.path is not None:
            return read_rows(self.path)
        shipped = "" if self.sample is None else f' or path="{SAMPLE}" for the few rows that ship with the library'
        return hub_rows(self.hub, f"give {self} its path=FILE ({', '.join(FORMATS)}){shipped}")


def content_id(task: str, text: str) -> str:
    """An id for a problem whose data set gives it none: the same wherever in whichever file it stands.

    Examples:
        >>> content_id("gsm8k", "How many?")
        'gsm8k/ba352e24c6'
    """
    return f"{task}/{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _distinct(problems: Iterator[Problem]) -> Iterator[Problem]:
    """The same problems, with a number after an id that was there before."""
    seen: Counter[str] = Counter()
    for problem in problems:
        seen[problem.id] += 1
        again = seen[problem.id]
        yield problem if again == 1 else replace(problem, id=f"{problem.id}-{again}")
