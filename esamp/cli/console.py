"""What commands print: readable in a terminal and in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from esamp.metrics import Scores
from esamp.result import Sample
from esamp.selection import Selection

__all__ = [
    "SCORES",
    "format_score",
    "make_console",
    "printable",
    "show_prompt",
    "show_samples",
    "show_scores",
    "show_selection",
]

_PIPE_WIDTH = 100

SCORES = {
    "vendi": ("Vendi score", ".2f", "how many samples differ in effect (more: diverse)"),
    "cosine": ("mean cosine", ".3f", "how alike two samples are (less: diverse)"),
    "distinct_2": ("distinct-2", ".3f", "different word pairs over all (more: diverse)"),
    "repetition": ("repetition", ".1%", "word 4-grams that a sample repeats: loops"),
    "perplexity": ("perplexity", ".2f", "the model's own surprise (less: likelier text)"),
    "mean_length": ("mean length", ".1f", "tokens a sample"),
    "tokens_per_second": ("tokens/s", ".1f", "of the whole run, prompt included"),
}
"""Of each score: its name, its format, and what it says."""


def make_console() -> Console:
    """A console on stdout: colours in a terminal only, and a fixed width in a pipe."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def show_prompt(console: Console, prompt: str) -> None:
    """A rule, and the prompt in full."""
    console.rule(style="dim")
    console.print(Text(printable(prompt), style="bold"), end="\n\n")


def show_samples(console: Console, samples: Sequence[Sample]) -> None:
    """The samples, each with its number beside it; an ellipsis where the token limit cut it."""
    grid = Table.grid(padding=(0, 2, 1, 0), collapse_padding=False)
    grid.add_column(justify="right", style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for sample in samples:
        ending = " …" if sample.finish_reason == "length" else ""
        grid.add_row(str(sample.index), Text.assemble(printable(sample.text.strip()), (ending, "dim")))
    console.print(grid)


def show_selection(console: Console, how: str, selection: Selection) -> None:
    """What was selected, how and why, and the samples."""
    head = Text.assemble(("Selected ", "bold"), printable(how), (f": {printable(selection.reason)}", "dim"))
    console.print(head, end="\n\n")
    show_samples(console, selection.samples)


def show_scores(console: Console, columns: Mapping[str, Scores]) -> None:
    """A rule, and a table with a row for each score that was measured in some column."""
    console.rule(style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("score")
    for name in columns:
        table.add_column(name, justify="right")
    table.add_column("what it says", style="dim")
    for field, (label, form, meaning) in SCORES.items():
        values = [getattr(scores, field) for scores in columns.values()]
        if any(value == value for value in values):
            table.add_row(label, *(format_score(value, form) for value in values), meaning)
    console.print(table)


def format_score(value: float, form: str) -> str:
    """A number in its format; a dash for NaN."""
    return format(value, form) if value == value else "–"


def printable(text: str) -> str:
    """Text without control characters other than newline and tab: a sample must not be able to steer a terminal."""
    return "".join(char if char in "\n\t" or char.isprintable() else "�" for char in text)
