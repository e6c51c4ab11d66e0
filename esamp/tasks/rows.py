"""Rows of a data set's file, with errors that say where they stand."""

from __future__ import annotations

import csv
import gzip
import json
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path
from typing import Any, cast

__all__ = ["FORMATS", "Row", "read_rows"]

FORMATS = (".jsonl", ".json", ".csv")
"""Suffixes of the files that can be read; each may be followed by `.gz`."""

# Test cases of a programming contest are cells of megabytes; csv's own limit is 128 KiB.
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Row:
    """One row of a data set.

    Attributes:
        values: its fields by name.
        where: it stands, for errors: the file and the line.
    """

    values: Mapping[str, Any]
    where: str

    def text(self, *keys: str) -> str:
        """The text under the first of `keys` that is there; a number counts as text.

        Raises:
            ValueError: none is there, or it holds something else, or nothing.
        """
        key, value = self._first(keys)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key!r} must hold text, got {reprlib.repr(value)}")
        return value

    def texts(self, key: str) -> list[str]:
        """The list of texts under `key`.

        Raises:
            ValueError: it is not there, or is no list of texts.
        """
        _, value = self._first((key,))
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in cast(list[Any], value)):
            raise self.error(f"{key!r} must hold a list of texts, got {reprlib.repr(value)}")
        return list(cast(list[str], value))

    def error(self, message: str) -> ValueError:
        """An error that says where the row stands, to be raised."""
        return ValueError(f"{self.where}: {message}")

    def _first(self, keys: tuple[str, ...]) -> tuple[str, Any]:
        for key in keys:
            if key in self.values:
                return key, self.values[key]
        wanted = " or ".join(map(repr, keys))
        raise self.error(f"{wanted} is missing; it has the keys {', '.join(map(repr, self.values)) or 'none'}")


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a file, one at a time: JSON lines, a JSON list of objects, or CSV with a header; gzipped or not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is in none of the formats, or not UTF-8.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"path must be a file with one of the suffixes {', '.join(FORMATS)}, got {str(path)!r}")
    packed = file.suffix == ".gz"
    suffix = Path(file.stem).suffix if packed else file.suffix
    readers = {".jsonl": _json_lines, ".json": _json_list, ".csv": _csv}
    if suffix not in readers:
        raise ValueError(
            f"path must have one of the suffixes {', '.join(FORMATS)}, with or without .gz, got {file.name!r}"
        )
    try:
        # gzip.open and open differ in nothing that counts here.
        with (gzip.open if packed else open)(file, "rt", encoding="utf-8", newline="") as stream:
            yield from readers[suffix](cast(TextIOBase, stream), file.name)
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, csv.Error) as error:
        raise ValueError(f"{file.name} cannot be read: {error}") from error


def _json_lines(stream: TextIOBase, name: str) -> Iterator[Row]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            yield _row(json.loads(line), where)
        except json.JSONDecodeError as error:
            raise ValueError(f"{where} is no JSON: {error}") from error


def _json_list(stream: TextIOBase, name: str) -> Iterator[Row]:
    try:
        loaded = json.load(stream)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON: {error}") from error
    if not isinstance(loaded, list):
        raise ValueError(f"{name} must hold a list of objects, got {reprlib.repr(loaded)}")
    for number, each in enumerate(cast(list[Any], loaded), 1):
        yield _row(each, f"{name}, entry {number}")


def _csv(stream: TextIOBase, name: str) -> Iterator[Row]:
    reader = csv.DictReader(stream, strict=True)
    for values in reader:
        yield _row(
            {key: value for key, value in values.items() if value is not None}, f"{name}, line {reader.line_num}"
        )


def _row(loaded: Any, where: str) -> Row:
    if not isinstance(loaded, Mapping):
        raise ValueError(f"{where} must hold an object with the fields as keys, got {reprlib.repr(loaded)}")
    return Row(cast(Mapping[str, Any], loaded), where)
