"""`python -m tools.tutorials [PAGE ...]`: run tutorials for real, and write what comes out into their pages."""

from __future__ import annotations

import argparse
import datetime
import gc
import importlib.metadata
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tools.tutorials.figure import themed
from tools.tutorials.page import Page
from tools.tutorials.run import TutorialError, run_page

FOLDER = Path(__file__).parents[2] / "docs/tutorials"


def main() -> int:
    """Every page that was asked for, or all that have code: 0, or 1 at the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m tools.tutorials", description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, help="pages to run (all of docs/tutorials)")
    parser.add_argument("--stale", action="store_true", help="only those whose code was edited since they ran")
    options = parser.parse_args()
    for path in options.pages or sorted(FOLDER.glob("*.md")):
        page = Page.read(path)
        if page.blocks and not (options.stale and page.stamp == page.code_hash):
            start = time.perf_counter()
            try:
                regenerate(page)
            except TutorialError as error:
                print(error, file=sys.stderr)
                return 1
            gc.collect()  # the models of the page
            print(f"{page.path.name}: {time.perf_counter() - start:.0f} s", flush=True)
    return 0


def regenerate(page: Page) -> None:
    """Run a page, write its outputs into it, and lay what it made beside it.

    Raises:
        TutorialError: it fails; then nothing is written.
    """
    with tempfile.TemporaryDirectory() as made:
        outcome = run_page(page, Path(made))
        for target, source in page.made.items():
            _lay(Path(made) / source, page.path.parent / target)
        page.path.write_text(page.written(outcome.printed, made_with()), encoding="utf-8")


def made_with() -> str:
    """Date and versions, for the stamp of a page."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("esamp", "torch", "transformers")]
    return ", ".join([datetime.date.today().isoformat(), *versions])


def _lay(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    if target.suffix == ".svg":
        target.write_text(themed(source.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    sys.exit(main())
