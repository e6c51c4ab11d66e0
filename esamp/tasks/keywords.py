"""Keyword sentences: one sentence that holds some given words, by a rule and not by a judge."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import final

from typing_extensions import override

from esamp.checks import check_integer
from esamp.tasks.base import Problem, Verdict, tasks
from esamp.tasks.dataset import DATA, TemplateTask

__all__ = ["KeywordSentences", "one_sentence"]

_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?")
_INNER_END = re.compile(r"[.!?]+[\"'”’)]*\s+(?=\S)")
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Prof|vs|etc)\.\s*$")
_QUOTES = "\"'”’)*_ "


@tasks.register("keywords")
@final
class KeywordSentences(TemplateTask):
    """A sentence with every given word in it: valid if it is one sentence, not too long, and holds each word.

    A word counts with an ending for number or tense, too ("walk": walks, walked, walking). The words of a problem are
    drawn from the list by the seed.

    Args:
        path: a UTF-8 text file with a word a line; None: the list that ships with the library.
        words: how many a sentence must hold.
        count: how many problems are drawn.
        seed: of the drawing.
        longest: words that a sentence may have.
        template: a YAML file, or the name of a shipped template; None: the task's own.
        start: index of the first problem.
        limit: how many problems; None: all.

    Raises:
        FileNotFoundError: there is no such template.
        TypeError: a number is not an integer.
        ValueError: the file is no template, or a number is out of range.
    """

    family = "keywords"
    default_template = "few_shot"

    def __init__(
        self,
        path: str | Path | None = None,
        words: int = 3,
        count: int = 40,
        seed: int = 0,
        longest: int = 40,
        template: str | Path | None = None,
        start: int = 0,
        limit: int | None = None,
    ) -> None:
        super().__init__(template, start, limit)
        self.path: Path = DATA / "keywords.txt" if path is None else Path(path)
        self.words: int = check_integer("words", words, low=1)
        self.count: int = check_integer("count", count, low=1)
        self.seed: int = check_integer("seed", seed, low=0)
        self.longest: int = check_integer("longest", longest, low=self.words)

    @override
    def all_problems(self) -> Iterator[Problem]:
        known = _read(self.path)
        if len(known) < self.words:
            raise ValueError(f"words must be at most {len(known)}, as many as {self.path.name} has, got {self.words}")
        for index in range(self.count):
            # Each problem its own generator: more problems leave the first ones as they are.
            chosen = random.Random(f"{self.seed}/{index}").sample(known, self.words)
            name = f"keywords/{self.seed}-{index}-{'-'.join(chosen)}"
            yield Problem(name, self.template.render({"words": ", ".join(chosen)}), chosen)

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        sentence = " ".join(self.cut(text).split()).strip(_QUOTES)
        if not sentence:
            return Verdict(correct=False, detail="nothing said")
        said = _WORD.findall(sentence.lower())
        missing = [word for word in problem.reference if not any(each in said for each in _inflected(word))]
        detail = ""
        if not one_sentence(sentence):
            detail = "not one sentence"
        elif len(said) > self.longest:
            detail = f"more than {self.longest} words"
        elif missing:
            detail = f"without {', '.join(missing)}"
        return Verdict(correct=not detail, answer=" ".join(said) or None, detail=detail)


def one_sentence(text: str) -> bool:
    """Whether a text is one sentence: it ends like one, and nowhere before its end.

    Examples:
        >>> one_sentence("Dr. Ray saw the moon."), one_sentence("It rained. We left."), one_sentence("the moon and")
        (True, False, False)
    """
    inner = [end for end in _INNER_END.finditer(text) if not _TITLE.search(text[max(0, end.start() - 6) : end.end()])]
    return not inner and text.rstrip(_QUOTES).endswith((".", "!", "?"))


def _inflected(word: str) -> set[str]:
    """A word, and what it can be in another number or tense when it is regular."""
    stem = word.removesuffix("e")
    forms = {word, word + "s", word + "es", word + "'s", stem + "ed", stem + "ing", word + "ed", word + "ing"}
    if word.endswith("y"):
        forms |= {word[:-1] + "ies", word[:-1] + "ied"}
    if len(word) > 1:
        forms |= {word + word[-1] + "ed", word + word[-1] + "ing"}
    return forms


def _read(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"path must be a text file with a word a line, and there is no file {str(path)!r}")
    lines = [line.strip().lower() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    for number, line in enumerate(lines, 1):
        if line and not _WORD.fullmatch(line):
            raise ValueError(f"{path.name}, line {number} must hold one word of the letters a to z, got {line!r}")
    return list(dict.fromkeys(line for line in lines if line))
