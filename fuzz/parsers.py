"""Coverage-guided fuzzing of what reads other people's files: `make fuzz`, or python fuzz/parsers.py -runs=100000.

Needs atheris (pip install atheris), which is not among the development requirements. A parser may refuse with
`ValueError` or `TypeError`, and may do nothing else. It starts from inputs that every parser takes: from nothing, no
mutation finds its way behind a magic number or a YAML key.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
import pyarrow.parquet
from torch import ones

with atheris.instrument_imports(include=["esamp"]):
    from esamp.cli.study_file import read_study
    from esamp.distillers import LinearDistiller
    from esamp.distillers.start_file import read_start, write_start
    from esamp.schedules import parse_value
    from esamp.selection import parse_selector
    from esamp.studies.manifest import read_manifest
    from esamp.studies.rows import read_rows
    from esamp.tasks.template import read_template

_ROOT = Path(__file__).resolve().parents[1]
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


def parse(data: bytes) -> None:
    """Give the bytes to one parser, which the first of them chooses."""
    which = data[0] % (len(_OF_FILES) + len(_OF_TEXT)) if data else 0
    if which < len(_OF_FILES):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "file")
            file.write_bytes(data[1:])
            _OF_FILES[which](str(file))
    else:
        _OF_TEXT[which - len(_OF_FILES)](data[1:].decode("utf-8", "replace"))


def one_input(data: bytes) -> None:
    """Parse, or be refused."""
    with contextlib.suppress(*_REFUSALS):
        parse(data)


def valid_inputs(scratch: Path) -> list[list[bytes]]:
    """Bytes that each parser takes: files of this repository, and small ones made in a folder."""
    start, rows = scratch / "start.safetensors", scratch / "rows.parquet"
    write_start(start, LinearDistiller(), {"weight": ones(2, 2)}, 2, model="tiny", release="0")
    kept = sorted((_ROOT / "docs/results/closed_lists/rows").glob("*.parquet"))[0]
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(kept).slice(0, 1), rows)
    of_files = (
        sorted((_ROOT / "studies").glob("*.yaml")),
        [start],
        [_ROOT / "docs/results/coordination/manifest.json"],
        sorted((_ROOT / "esamp/tasks/templates").glob("*/*.yaml")),
        [rows],
    )
    of_text = (
        ["linear:0.5:0:64", "only_first:0.25:16", "fire:30:1:1"],
        ["majority:[0-9]+", "best", "diverse:4"],
    )
    return [[file.read_bytes() for file in files] for files in of_files] + [
        [text.encode() for text in texts] for texts in of_text
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as scratch:
        for which, inputs in enumerate(valid_inputs(Path(scratch))):
            for number, data in enumerate(inputs):
                parse(bytes([which]) + data)
                Path(folder, f"{which}-{number}").write_bytes(bytes([which]) + data)
        atheris.Setup([*sys.argv, folder, "-max_len=40000"], one_input)
        atheris.Fuzz()
