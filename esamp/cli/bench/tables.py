"""`esamp bench tables`: Markdown from a folder of measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from esamp.cli.bench.shared import Report, bench_parser
from esamp.cli.parsing import Parser
from esamp.studies.speed.tables import write_tables

__all__ = ["parser", "run"]

_FOLDER = "docs/results/speed"


def parser() -> Parser:
    """The options of `esamp bench tables`."""
    made = bench_parser(
        "tables",
        "Reads the records that the other benches wrote with --json to a folder and writes a table for each bench\n"
        "beside them (overhead.md, generate.md, growth.md, profile.md), which the page on speed includes.",
    )
    options = made.group("tables")
    options.add_argument("--folder", type=str, default=_FOLDER, metavar="FOLDER", help=f"of the records ({_FOLDER})")
    return made


def run(options: Any, command: str) -> int:
    """Write the tables, and say where."""
    folder = Path(options.folder)
    if not folder.is_dir():
        raise ValueError(f"folder must be one with records of `esamp bench ... --json`, got {options.folder!r}")
    report = Report("tables", command, None)
    for path in write_tables(folder):
        report.say(str(path))
    return 0
