"""The folder that `esamp eval` writes, read back: a manifest, and one row a sample."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, final

import torch

from esamp.metrics import is_looping
from esamp.studies.ragged import Ragged
from esamp.studies.rows import ROWS, arrow, read_rows, row_schema

__all__ = ["EvaluatedRun", "SampleTable", "read_run"]

_TEXT = ("arm", "task", "problem", "prompt", "text", "finish_reason", "detail", "answer")
_NUMBERS = ("temperature", "loss", "seconds")
_WHOLE = ("seed", "index", "resets")
_FLAGS = ("plain", "correct")
_LISTS = ("token_ids", "log_probs", "reference_log_probs", "novelty", "kl", "candidates")
_NULLABLE = ("temperature", "loss", "correct", "answer", "novelty", "detail")


@final
@dataclass(frozen=True)
class SampleTable:
    """The samples of a run, column by column, all of the same length.

    Attributes:
        arm: name of the configuration that drew it.
        plain: it was drawn by plain sampling: a point of the temperature sweep.
        temperature: None where it is a schedule.
        task: name of the task.
        problem: id of the problem within the task.
        prompt: what was asked, as text.
        seed: of the draws.
        index: of the sample among those of its arm, problem and seed.
        text: of the sample.
        finish_reason: "eos", "stop" or "length".
        correct: the verifier's verdict; None where there is nothing to verify.
        answer: in its normal form, so that equal answers are equal; None where there is none.
        detail: the verifier's remark.
        loss: of the distiller, the mean over the group's steps; None where nothing learnt.
        resets: how often the group's distiller was reset.
        token_ids: the tokens drawn.
        log_probs: of each token as it was drawn, nats.
        reference_log_probs: of each token under the LLM alone, nats.
        novelty: ‖e‖ of the context of each token; an empty row or NaN where there was no prediction.
        kl: KL(π_new ‖ π_ref) of each token's step, nats.
        candidates: number of candidates each token was drawn from.
    """

    arm: list[str]
    plain: list[bool]
    temperature: list[float | None]
    task: list[str]
    problem: list[str]
    prompt: list[str]
    seed: list[int]
    index: list[int]
    text: list[str]
    finish_reason: list[str]
    correct: list[bool | None]
    answer: list[str | None]
    detail: list[str]
    loss: list[float | None]
    resets: list[int]
    seconds: list[float]
    token_ids: Ragged
    log_probs: Ragged
    reference_log_probs: Ragged
    novelty: Ragged
    kl: Ragged
    candidates: Ragged

    def __len__(self) -> int:
        return len(self.arm)

    def take(self, rows: Sequence[int]) -> SampleTable:
        """These samples, in this order."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return SampleTable(**{name: _take(column, rows) for name, column in columns.items()})


@final
@dataclass(frozen=True)
class EvaluatedRun:
    """A run: what was asked, and the samples.

    Attributes:
        folder: where it lies.
        manifest: versions, model, the whole study, machine and command, as plain values.
        samples: all of them.
    """

    folder: Path
    manifest: dict[str, Any]
    samples: SampleTable

    @property
    def arms(self) -> dict[str, dict[str, Any]]:
        """Settings of each arm, in the order of the study; of arms that stand in the rows alone, none."""
        study: dict[str, Any] = self.manifest.get("study") or {}
        named: dict[str, dict[str, Any]] = study.get("arms") or {}
        seen = dict.fromkeys(self.samples.arm)
        ordered = [*(name for name in named if name in seen), *(name for name in seen if name not in named)]
        return {name: dict(named.get(name) or {}) for name in ordered}

    def without_loops(self) -> EvaluatedRun:
        """The same without the samples that end in a loop (`esamp.metrics.is_looping`): they count for nothing."""
        tokens = self.samples.token_ids
        kept = [row for row in range(len(self.samples)) if not is_looping(tokens[row])]
        return replace(self, samples=self.samples.take(kept))


def read_run(folder: Path) -> EvaluatedRun:
    """The run in a folder of `esamp eval`.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: there is no run, it has no sample, or a file is not in the format; the message says which one.
    """
    return EvaluatedRun(folder, _manifest(folder / "manifest.json"), _samples(folder))


def _take(column: Any, rows: Sequence[int]) -> Any:
    return column.take(rows) if isinstance(column, Ragged) else [column[row] for row in rows]


def _manifest(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(
            f"run must be a folder that `esamp eval` wrote, and {str(path)!r} is not there; give the folder with "
            "manifest.json and rows/"
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(path)!r} must hold JSON and does not: {error}; run `esamp eval` again") from error
    if not isinstance(read, dict):
        raise ValueError(f"{str(path)!r} must hold a JSON object, got a {type(read).__name__}; run `esamp eval` again")
    return read


def _samples(folder: Path) -> SampleTable:
    pyarrow = arrow()
    for file in sorted((folder / ROWS).glob("*.parquet")):
        try:
            schema = pyarrow.parquet.read_schema(file)
        except (OSError, ValueError, MemoryError, pyarrow.ArrowException) as error:
            raise ValueError(f"{str(file)!r} must be a parquet file and cannot be read: {error}") from error
        _check(schema, file)
    table = read_rows(folder)
    if not table.num_rows:
        raise ValueError(f"{str(folder / ROWS)!r} holds no sample; run `esamp eval` until a cell is done")
    columns: dict[str, Any] = {}
    for name in (*_TEXT, *_NUMBERS, *_WHOLE, *_FLAGS):
        values = table.column(name).to_pylist()
        columns[name] = values if name in _NULLABLE else [_blank(name) if each is None else each for each in values]
    columns["detail"] = [each or "" for each in columns["detail"]]
    columns |= {name: _ragged(table, name) for name in _LISTS}
    return SampleTable(**columns)


def _blank(name: str) -> Any:
    """What stands for a value that is not there, in columns that always have one."""
    return "" if name in _TEXT else False if name in _FLAGS else 0


def _check(schema: Any, file: Path) -> None:
    """Every column of the contract is there, and of its type."""
    wanted = row_schema()
    missing = [name for name in wanted.names if name not in schema.names]
    if missing:
        raise ValueError(
            f"{str(file)!r} must have the column {missing[0]!r}, got {', '.join(schema.names)}; it is not a file of "
            "`esamp eval`, or one of another version"
        )
    for field in wanted:
        kind = schema.field(field.name).type
        if not kind.equals(field.type):
            raise ValueError(
                f"column {field.name!r} of {str(file)!r} must be of type {field.type}, got {kind}; run `esamp eval` "
                "again"
            )


def _ragged(table: Any, name: str) -> Ragged:
    import pyarrow.compute

    compute: Any = pyarrow.compute
    column = table.column(name)
    lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy()
    values = torch.tensor(compute.list_flatten(column).to_numpy())
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.tensor(lengths, dtype=torch.int64).cumsum(0)])
    return Ragged(values, starts)
