"""Closed lists: "Name a fruit", where every valid answer is known."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast, final

from typing_extensions import override

from esamp.tasks.base import Problem, Verdict, tasks
from esamp.tasks.dataset import DATA, TemplateTask

__all__ = ["ClosedLists", "normal_form"]

_ARTICLE = re.compile(r"^(?:a|an|the)\s+")
_END = re.compile(r"[\n.,;:!?()\[\]\"“”/]|\s[-–—]\s")


@tasks.register("closed_lists")
@final
class ClosedLists(TemplateTask):
    """One short answer to "Name ...", right if it is on the list; distinct right answers are what counts.

    Two samples have the same `answer` if they name the same thing: case, articles, spaces, hyphens, a plural and
    spellings that the list gives for one entry do not matter.

    Args:
        path: a JSON file, {category: [answer, ...]}, where an answer is a text, or a list of spellings of which the
            first is the normal form; None: the 32 lists that ship with the library.
        template: a YAML file, or the name of a shipped template; None: three solved examples and a question.
        start: index of the first problem.
        limit: how many problems; None: all.

    Raises:
        FileNotFoundError: there is no such template.
        TypeError: `start` or `limit` is not an integer.
        ValueError: the file is no template, or `start` or `limit` is out of range.
    """

    family = "closed_lists"
    default_template = "few_shot"

    def __init__(
        self,
        path: str | Path | None = None,
        template: str | Path | None = None,
        start: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(template, start, limit)
        self.path: Path = DATA / "closed_lists.json" if path is None else Path(path)

    @override
    def all_problems(self) -> Iterator[Problem]:
        for category, entries in _read(self.path).items():
            where = f"{self.path.name}, {category!r}"
            yield Problem(
                id=f"closed_lists/{'-'.join(category.split())}",
                prompt=self.template.render({"category": category}),
                reference=_forms(where, entries),
            )

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        said = normal_form(text)
        if not said:
            return Verdict(correct=False, detail="nothing said")
        entry = next((problem.reference[form] for form in _singulars(said) if form in problem.reference), None)
        return Verdict(correct=entry is not None, answer=said if entry is None else entry)


def normal_form(text: str) -> str:
    """What the first phrase of a text names: lower case, no article, single spaces; "" if it names nothing.

    Examples:
        >>> normal_form(" The  Netherlands. It is flat.")
        'netherlands'
    """
    phrases = (_ARTICLE.sub("", " ".join(phrase.lower().split())) for phrase in _END.split(text.strip()))
    return next((phrase.strip("*_'` ") for phrase in phrases if phrase.strip("*_'` ")), "")


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"path must be a JSON file of closed lists, and there is no file {str(path)!r}")
    try:
        loaded: Any = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(loaded, Mapping) or not loaded:
        raise ValueError(f"{path.name} must hold an object {{category: [answer, ...]}}, got {reprlib.repr(loaded)}")
    return cast(Mapping[str, Any], loaded)


def _forms(where: str, entries: Any) -> dict[str, str]:
    """Every spelling of every entry, without its spaces, and the normal form that it stands for."""
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{where} must hold a list of answers, got {reprlib.repr(entries)}")
    forms: dict[str, str] = {}
    for entry in cast(list[Any], entries):
        spellings = cast(list[Any], entry) if isinstance(entry, list) else [entry]
        if not spellings or not all(isinstance(each, str) and normal_form(each) for each in spellings):
            raise ValueError(f"{where} must hold texts, or lists of spellings, got {entry!r}")
        normal = normal_form(spellings[0])
        forms.update({_joined(normal_form(each)): normal for each in spellings})
    return forms


def _joined(phrase: str) -> str:
    return re.sub(r"[\s'’-]", "", phrase)


def _singulars(phrase: str) -> Iterator[str]:
    """Forms to look for: the phrase, and its singulars if it is a plural. The list decides whether one is a word."""
    joined = _joined(phrase)
    yield joined
    for ending, singular in (("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")):
        if joined.endswith(ending):
            yield joined.removesuffix(ending) + singular
