"""Running a page."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import matplotlib as mpl

from esamp.cli.main import main
from tools.tutorials.figure import STYLE
from tools.tutorials.page import Block, Page

__all__ = ["Outcome", "TutorialError", "run_page"]


class TutorialError(RuntimeError):
    """A page does not do what it says; the message names page and line."""


@final
@dataclass(frozen=True)
class Outcome:
    """What a page did.

    Attributes:
        printed: what each block printed, by its index; blocks that printed nothing are left out.
        names: the namespace that its Python blocks left.
    """

    printed: dict[int, str]
    names: dict[str, Any]


def run_page(page: Page, folder: Path) -> Outcome:
    """Run a page's blocks in order, in one namespace, inside an existing folder.

    Args:
        page: the page.
        folder: the working folder, where titled blocks are written and modules are found.

    Raises:
        TutorialError: a block fails, or a file that the page links to was not made.
    """
    printed: dict[int, str] = {}
    names: dict[str, Any] = {"__name__": "__main__"}
    with _inside(folder), mpl.rc_context(STYLE):
        for index, block in enumerate(page.blocks):
            out = io.StringIO()
            try:
                with contextlib.redirect_stdout(out):
                    _run(block, page, names)
            except (Exception, SystemExit) as error:
                said = f"{page.path.name}, block of line {block.line}: {type(error).__name__}: {error}"
                raise TutorialError(said) from error
            if out.getvalue().strip():
                printed[index] = out.getvalue().replace(f"{folder.resolve()}/", "")
    for target, source in page.made.items():
        if not (folder / source).is_file():
            raise TutorialError(f"{page.path.name}: {target} is to come from {source}, which no block made")
    return Outcome(printed, names)


def _run(block: Block, page: Page, names: dict[str, Any]) -> None:
    if block.title is not None:
        Path(block.title).write_text(block.text, encoding="utf-8")
    elif block.language == "python":
        # Blank lines before the code make line numbers in a traceback those of the page.
        exec(compile("\n" * (block.line - 1) + block.text, str(page.path), "exec"), names)
    else:
        _command_lines(block.text)


def _command_lines(text: str) -> None:
    """Run lines that begin with `esamp` in this process.

    Raises:
        ValueError: a line is another program's.
        RuntimeError: a command failed.
    """
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] != "esamp":
            raise ValueError(f"only esamp commands are run, got {line!r}; write <!-- not run: WHY --> before the block")
        complaints = io.StringIO()
        with contextlib.redirect_stderr(complaints):
            code = main(words[1:])
        if code:
            raise RuntimeError(f"{line!r} ended with {code}: {complaints.getvalue().strip()}")


@contextlib.contextmanager
def _inside(folder: Path) -> Generator[None]:
    """In that folder, whose modules can be imported and are forgotten afterwards."""
    path = list(sys.path)
    sys.path.insert(0, str(folder.resolve()))
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(folder.resolve())):
                del sys.modules[name]
