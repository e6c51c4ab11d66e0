"""What tasks with programs for answers share: finding the program in a sample, and running it."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path
from typing import Final

from esamp.tasks.base import Verdict
from esamp.tasks.dataset import DatasetTask
from esamp.tasks.execution import Limits, check_allowed, run_program

__all__ = ["CodeTask", "code_block", "normal_code"]

_FENCE = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_PYTHON: Final = ("python", "python3", "py", "")


class CodeTask(DatasetTask):
    """A data set whose answers are programs, which are run: isolated, not in a sandbox. See `esamp.tasks.execution`.

    Args:
        path: a file in the data set's own format (JSON lines, a JSON list, or CSV; gzipped or not); "sample": the rows
            that ship with the library; None: the data set on the Hugging Face hub, by the package `datasets`.
        template: a YAML file, or the name of a shipped template; None: the task's own.
        start: index of the first problem.
        limit: how many problems; None: all.
        allow_code_execution: agree to run what a model wrote.
        timeout: seconds for one run of a program.

    Raises:
        FileNotFoundError: there is no such template.
        TypeError: an argument is of the wrong type.
        ValueError: `allow_code_execution` is False, the file is no template, a number is out of range, or the system
            has no process groups.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        template: str | Path | None = None,
        start: int = 0,
        limit: int | None = None,
        allow_code_execution: bool = False,
        timeout: float = 10.0,
    ) -> None:
        super().__init__(path, template, start, limit)
        self.limits: Limits = check_allowed(str(self), allow_code_execution, timeout)

    def run(self, answer: str, program: str) -> Verdict:
        """Right if the program, tests included, comes to its last line.

        Args:
            answer: the code of the sample alone.
            program: the same with what goes before it, and its tests.
        """
        done = run_program(program, limits=self.limits)
        return Verdict(done.completed, normal_code(answer), "" if done.completed else done.why())


def code_block(text: str) -> str | None:
    """The last fenced block of Python, or the last block if none is called Python; None if there is none.

    A block that is not closed goes on to the end of the text.
    """
    blocks = _FENCE.findall(text)
    python = [code for language, code in blocks if language.lower() in _PYTHON]
    return python[-1] if python else (blocks[-1][1] if blocks else None)


def normal_code(code: str) -> str | None:
    """Code without comments and its own layout; as it is where it is no Python, None where it is blank.

    Examples:
        >>> normal_code("x=( 1+2 )  # three")
        'x = 1 + 2'
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.unparse(ast.parse(code)) or None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code.strip() or None
