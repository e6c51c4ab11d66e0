"""`esamp tasks`: what there is to be measured on, and where it comes from."""

from __future__ import annotations

import inspect
import re
from typing import Any

from esamp.cli.parsing import Parser
from esamp.cli.spelling import Spelling
from esamp.tasks import DatasetTask, Task, tasks

__all__ = ["listing", "origin", "parser", "run"]

_DESCRIPTION = """\
Lists the tasks that a study can name: their registry name, what is asked for, and where the data comes from.
A task of your own goes by its dotted path."""


def parser() -> Parser:
    """The options of `esamp tasks`."""
    made = Parser("tasks", Spelling("names"), usage="[NAME ...]", description=_DESCRIPTION)
    options = made.group("tasks")
    options.add_argument("--names", type=list[str], default=[], metavar="NAME", help="these only, with their arguments")
    return made


def run(options: Any) -> int:
    """Print the list, or all about the tasks that are named."""
    if not options.names:
        print(listing())
        return 0
    for cls in map(tasks.resolve, options.names):
        print(f"{cls.__name__}{inspect.signature(cls)}\n\n{inspect.getdoc(cls)}\n\nData: {origin(cls)}\n")
    return 0


def listing() -> str:
    """A line for each registered task."""
    found = {name: tasks.resolve(name) for name in tasks.names()}
    width = max(map(len, found))
    lines = [f"{name:{width}}  {_summary(cls)} [{origin(cls)}]" for name, cls in found.items()]
    return "\n".join([*lines, "", "`esamp tasks NAME` says all about one: its arguments, what counts as right."])


def origin(cls: type[Task]) -> str:
    """Where a task's problems come from."""
    if not issubclass(cls, DatasetTask):
        return "ships with the library, or your own file" if hasattr(cls, "default_template") else "your own prompts"
    shipped = "" if cls.sample is None else '; path="sample": rows that ship with the library'
    return f"the hub: {cls.hub.name}{shipped}"


def _summary(cls: type[Task]) -> str:
    """The first thing that the docstring says."""
    return re.split(r": |\. (?=[A-Z])|\.$", (inspect.getdoc(cls) or "").partition("\n")[0])[0]
