"""The folder of a run: a file of rows for each unit, whole or not there, so that a killed run goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from esamp.studies.rows import ROWS, arrow, row_schema, write_rows
from esamp.studies.study import Study, Unit

__all__ = ["RunFolder", "arrow"]


class RunFolder:
    """A run on disk: `rows/UNIT.parquet`, and while a unit is under way `partial/UNIT.jsonl` with its finished samples.

    Args:
        folder: made when the first thing is written.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._arrow = arrow()
        self.folder = folder
        self.rows: Path = folder / ROWS
        self.partial: Path = folder / "partial"
        self.manifest: Path = folder / "manifest.json"

    def kept(self) -> set[str]:
        """Keys of the units that are there."""
        return {path.stem for path in self.rows.glob("*.parquet")}

    def missing(self, study: Study) -> list[Unit]:
        """Units of the study that are still to be run.

        Raises:
            ValueError: the folder holds rows that are none of this study's: a mixture would be of no use to anybody.
        """
        units, kept = list(study.units()), self.kept()
        foreign = kept - {unit.key for unit in units}
        if foreign:
            raise ValueError(
                f"out must be a new folder or that of this study, and {len(foreign)} of the {len(kept)} files in "
                f"{self.rows} are of another one ({min(foreign)}.parquet): its settings, its problems or esamp's "
                "version have changed; choose another --out"
            )
        return [unit for unit in units if unit.key not in kept]

    def check_manifest(self) -> None:
        """Rows are worth as much as is known of what they were made with.

        Raises:
            ValueError: there are rows, and no manifest.
        """
        if (kept := self.kept()) and not self.manifest.is_file():
            raise ValueError(
                f"out must hold the manifest of its rows, and {self.manifest} is gone, so that nobody can say which "
                f"model and versions the {len(kept)} files in {self.rows} were made with; put it back, or choose "
                "another --out and draw them anew (the old ones stay readable: esamp.studies.rows.read_rows)"
            )

    def prepare(self) -> None:
        """Make the folders, and clear away what a killed process was about to write."""
        for folder in (self.rows, self.partial):
            folder.mkdir(parents=True, exist_ok=True)
        for left in self.partial.glob("*.tmp"):
            left.unlink(missing_ok=True)

    def samples_of(self, unit: Unit) -> Path:
        """Where the finished samples of a unit are kept until its rows are."""
        return self.partial / f"{unit.key}.jsonl"

    def write(self, unit: Unit, rows: list[dict[str, Any]]) -> None:
        """Keep the rows of a unit, all or nothing, whenever the process or the machine stops."""
        scratch = self.partial / f"{unit.key}.{os.getpid()}.tmp"
        with scratch.open("wb") as file:
            write_rows(self._arrow.Table.from_pylist(rows, schema=row_schema()), file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.rows / f"{unit.key}.parquet")
        self.samples_of(unit).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove what only a run under way needs."""
        if self.partial.is_dir() and not any(self.partial.iterdir()):
            self.partial.rmdir()
