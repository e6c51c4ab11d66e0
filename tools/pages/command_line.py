"""The page on the command line: what every command says of itself."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from unittest import mock

from esamp.cli.bench import BENCHES
from esamp.cli.main import COMMANDS, main

__all__ = ["command_line", "commands", "help_of"]

# Narrow enough for the column of a page.
_COLUMNS = "88"

_HEAD = """\
# Command line

<!-- Made by `make pages` from the parsers; do not edit. -->

Every command says this of itself with `--help`. Parts go by registry name, class name or dotted path, and have options
of their own: `--distiller.help mlp` lists those of one. Exit codes: 0; 2 for bad input, with one line that names the
argument, the value and the way out; 130 and 143 where Ctrl-C or SIGTERM ended it.
"""


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command, `esamp` itself (none) first."""
    yield ()
    for name in COMMANDS:
        yield (name,)
        if name == "bench":
            yield from ((name, bench) for bench in BENCHES)


def help_of(words: tuple[str, ...]) -> str:
    """What a command prints for `--help`."""
    printed = io.StringIO()
    narrow = mock.patch.dict(os.environ, COLUMNS=_COLUMNS)
    with narrow, contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def command_line() -> str:
    """The whole page."""
    parts = [_HEAD]
    for words in commands():
        level = "###" if len(words) > 1 else "##"
        parts += [f"{level} {' '.join(('esamp', *words))}\n", f"```text\n{help_of(words)}\n```\n"]
    return "\n".join(parts)
