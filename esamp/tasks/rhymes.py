"""Rhymes: one word that rhymes with another, by a pronouncing dictionary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import final

from typing_extensions import override

from esamp.checks import check_integer
from esamp.tasks.base import Problem, Verdict, tasks
from esamp.tasks.closed_lists import normal_form
from esamp.tasks.dataset import DATA, TemplateTask
from esamp.tasks.rows import Row, read_rows

__all__ = ["Rhymes"]


@tasks.register("rhymes")
@final
class Rhymes(TemplateTask):
    """A word that rhymes with a given one: valid if it is another word with the same sounds from the stressed vowel on.

    Rows: `w`, a word, and `r`, its sounds from the last stressed vowel on; a row with `asked` true is asked for. Where
    no row has that, every word is asked for that has enough rhymes.

    Args:
        path: a file of such rows; None: the words and rhymes that ship with the library, from the CMU dictionary.
        fewest: how many rhymes a word must have to be asked for.
        template: a YAML file, or the name of a shipped template; None: three solved examples and a question.
        start: index of the first problem.
        limit: how many problems; None: all.

    Raises:
        FileNotFoundError: there is no such template.
        TypeError: a number is not an integer.
        ValueError: the file is no template, or a number is out of range.
    """

    family = "rhymes"
    default_template = "few_shot"

    def __init__(
        self,
        path: str | Path | None = None,
        fewest: int = 8,
        template: str | Path | None = None,
        start: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(template, start, limit)
        self.path: Path = DATA / "rhymes.jsonl" if path is None else Path(path)
        self.fewest: int = check_integer("fewest", fewest, low=1)

    @override
    def all_problems(self) -> Iterator[Problem]:
        rows = list(read_rows(self.path))
        sounds = {row.text("w").lower(): row.text("r") for row in rows}
        families: defaultdict[str, set[str]] = defaultdict(set)
        for word, sound in sounds.items():
            families[sound].add(word)
        for word in _asked(rows) or sounds:
            others = sorted(families[sounds[word]] - {word})
            if len(others) >= self.fewest:
                yield Problem(f"rhymes/{word}", self.template.render({"word": word}), others)

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        said = normal_form(self.cut(text))
        if not said:
            return Verdict(correct=False, detail="nothing said")
        return Verdict(correct=said in problem.reference, answer=said)


def _asked(rows: list[Row]) -> list[str]:
    return [row.text("w").lower() for row in rows if row.values.get("asked") is True]
