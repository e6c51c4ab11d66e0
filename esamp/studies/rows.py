"""The rows of a run: one for each sample, with its verdict and its diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["KEY", "ROWS", "arrow", "read_rows", "row_schema", "write_rows"]

ROWS = "rows"
"""Name of the folder of parquet files in a run's folder."""

KEY = ("arm", "task", "problem", "seed", "index")
"""Columns that tell a row from all others of its run."""


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


@cache
def row_schema() -> Any:
    """The `pyarrow.Schema` of a row.

    | column | what it is |
    |---|---|
    | arm, plain, temperature | the way of sampling; a point of the temperature sweep; null for a schedule |
    | task, problem, prompt | the task's name in the study, the problem's id, the text that the model saw |
    | seed, index | of the draws; of the sample among the n |
    | text, token_ids, finish_reason | as in `Sample` |
    | log_probs, reference_log_probs, novelty, kl, candidates | of each token, as in `Sample`; null for NaN |
    | correct, answer, detail | the verdict |
    | loss, resets | the group's distiller: mean loss over the steps, null where nothing was learnt; resets |
    | seconds | wall-clock time of the unit, over its rows |

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """
    pa = arrow()
    floats, integers = pa.list_(pa.float32()), pa.list_(pa.int32())
    return pa.schema(
        [
            ("arm", pa.string()),
            ("plain", pa.bool_()),
            ("temperature", pa.float64()),
            ("task", pa.string()),
            ("problem", pa.string()),
            ("prompt", pa.string()),
            ("seed", pa.int64()),
            ("index", pa.int32()),
            ("text", pa.string()),
            ("token_ids", integers),
            ("log_probs", floats),
            ("reference_log_probs", floats),
            ("novelty", floats),
            ("kl", floats),
            ("candidates", integers),
            ("finish_reason", pa.string()),
            ("correct", pa.bool_()),
            ("answer", pa.string()),
            ("detail", pa.string()),
            ("loss", pa.float32()),
            ("resets", pa.int32()),
            ("seconds", pa.float32()),
        ]
    )


def write_rows(table: Any, file: Any) -> None:
    """Write rows as parquet. Numbers of tokens make up most of a row, and take a third less space byte by byte.

    Args:
        table: a `pyarrow.Table` of `row_schema`.
        file: a path, or a file that is open for writing.
    """
    pa = arrow()
    lists = [field.name for field in row_schema() if pa.types.is_list(field.type)]
    texts = [field.name for field in row_schema() if pa.types.is_string(field.type)]
    split = [f"{name}.list.element" for name in lists if pa.types.is_floating(row_schema().field(name).type.value_type)]
    pa.parquet.write_table(
        table, file, compression="zstd", compression_level=12, use_dictionary=texts, use_byte_stream_split=split
    )


def read_rows(folder: str | Path, columns: Sequence[str] | None = None) -> Any:
    """All rows of a run as a `pyarrow.Table`, in the order of `KEY`, whichever process wrote them.

    Args:
        folder: of the run, which may still be going on.
        columns: the ones to read; None: all.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: the folder holds no rows, a file of them is damaged or of another kind, or a column is unknown.
    """
    pa, schema = arrow(), row_schema()
    files = sorted(Path(folder, ROWS).glob("*.parquet"))
    if not files:
        raise ValueError(f"folder must be that of a run with rows in it, got {str(folder)!r}; run `esamp eval` first")
    wanted = schema.names if columns is None else list(columns)
    unknown = [name for name in wanted if name not in schema.names]
    if unknown:
        raise ValueError(f"columns must be some of {', '.join(schema.names)}, got {unknown[0]!r}")
    read = list(dict.fromkeys([*wanted, *KEY]))
    table = pa.concat_tables([_read_file(file, read) for file in files])
    return table.sort_by([(name, "ascending") for name in KEY]).select(wanted)


def _read_file(file: Path, columns: list[str]) -> Any:
    """Columns of one file, whole and of the types of the schema.

    Raises:
        ValueError: it is damaged, or of another kind.
    """
    pa, schema = arrow(), row_schema()
    again = "remove it and run `esamp eval` again, which draws its rows anew"
    try:
        table = pa.parquet.read_table(file, columns=columns)
        table.validate(full=True)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise ValueError(
            f"{str(file)!r} must be a parquet file of rows and cannot be read: {error}; {again}"
        ) from error
    for name in columns:
        if name not in table.schema.names or table.schema.field(name).type != schema.field(name).type:
            raise ValueError(f"{str(file)!r} must have the column {name!r} of {schema.field(name).type}; {again}")
    return table
