"""Where the cells of a study are kept: one folder each, whole or not there, so that a killed study goes on."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from esamp.metrics import Embedder, score_samples
from esamp.result import GenerationResult
from esamp.studies.study import Cell, Study

__all__ = ["CellStore", "arrow"]


def arrow() -> Any:
    """The module `pyarrow`.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet  # pyright: ignore[reportUnusedImport]  (loads the submodule)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('studies are kept as parquet, by pyarrow: pip install "esamp[studies]"') from error
    return pyarrow


class CellStore:
    """Cells as folders of parquet files: `samples.parquet` with every sample, `scores.parquet` with a row a prompt.

    Args:
        folder: made when the first cell is written.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._arrow = arrow()

    def has(self, cell: Cell) -> bool:
        """The cell was run already."""
        return (self.folder / cell.key).is_dir()

    def write(self, cell: Cell, result: GenerationResult, embedder: Embedder, seconds: float) -> None:
        """Score the samples of a cell and keep both, all or nothing."""
        samples = [
            {"arm": cell.arm.name, "seed": cell.seed, **sample.to_dict()} for of in result.samples for sample in of
        ]
        scores: list[dict[str, Any]] = []
        for index, of_prompt in enumerate(result.samples):
            measured = asdict(score_samples(of_prompt, embedder)) | {"tokens_per_second": result.tokens / seconds}
            columns = _columns(cell)
            scores.append(
                {"arm": cell.arm.name, "plain": cell.arm.is_plain, "seed": cell.seed, "prompt": index}
                | {"n": len(of_prompt), **columns}
                | measured
            )
        scratch = self.folder / f".{cell.key}.part"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            self._save(samples, scratch / "samples.parquet")
            self._save(scores, scratch / "scores.parquet")
            (scratch / "facts.json").write_text(json.dumps(cell.facts(), indent=1, default=str))
            scratch.replace(self.folder / cell.key)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def table(self, study: Study) -> Any:
        """The scores of every cell of the study that was run, as one tidy `pyarrow.Table`: a row an arm, seed, prompt.

        Raises:
            ValueError: none was run.
        """
        parquet = self._arrow.parquet
        parts = [parquet.read_table(self.folder / c.key / "scores.parquet") for c in study.cells() if self.has(c)]
        if not parts:
            raise ValueError(f"{self.folder} holds no cell of this study yet; run it")
        # An arm names only what it sets: what another arm sets is null for it.
        return self._arrow.concat_tables(parts, promote_options="permissive")

    def _save(self, rows: list[dict[str, Any]], path: Path) -> None:
        self._arrow.parquet.write_table(self._arrow.Table.from_pylist(rows), path)


def _columns(cell: Cell) -> dict[str, Any]:
    """What tells the cell from others, one type a column: a schedule goes into a column of its own."""
    columns: dict[str, Any] = {"model": cell.study.model, "max_new_tokens": cell.study.max_new_tokens}
    for key, value in cell.arm.settings.items():
        if isinstance(value, int | float):
            columns[key] = value if isinstance(value, bool) else float(value)
        elif value is not None:
            columns[f"{key}_schedule" if key in ("beta", "temperature") else key] = str(value)
    return columns
