"""Coverage-guided fuzzing of what reads other people's files: `make fuzz`, or python fuzz/parsers.py -runs=100000.

Needs atheris (pip install atheris), which is not among the development requirements. A parser may refuse with
`ValueError` or `TypeError`, and may do nothing else.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["esamp"]):
    from esamp.cli.study_file import read_study
    from esamp.distillers.start_file import read_start
    from esamp.schedules import parse_value
    from esamp.selection import parse_selector
    from esamp.studies.manifest import read_manifest
    from esamp.studies.rows import read_rows
    from esamp.tasks.template import read_template

_REFUSALS = (ValueError, TypeError, FileNotFoundError)


def _rows(path: str) -> None:
    folder = Path(path).parent
    (folder / "rows").mkdir(exist_ok=True)
    (folder / "rows" / "a.parquet").write_bytes(Path(path).read_bytes())
    read_rows(folder)


_OF_FILES: tuple[Callable[[str], object], ...] = (
    read_study,
    read_start,
    lambda path: read_manifest(Path(path)),
    lambda path: read_template("open", shutil.copy(path, f"{path}.yaml")),
    _rows,
)
_OF_TEXT: tuple[Callable[[str], object], ...] = (lambda text: parse_value("beta", text), parse_selector)


def one_input(data: bytes) -> None:
    """Give the bytes to one parser, which the first of them chooses."""
    which = data[0] % (len(_OF_FILES) + len(_OF_TEXT)) if data else 0
    try:
        if which < len(_OF_FILES):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "file")
                file.write_bytes(data[1:])
                _OF_FILES[which](str(file))
        else:
            _OF_TEXT[which - len(_OF_FILES)](data[1:].decode("utf-8", "replace"))
    except _REFUSALS:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
