"""The diversity of a run's samples: a tidy table with a row for each arm, task, problem and seed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

import torch

from esamp.metrics import Embedder, score_samples
from esamp.result import Sample
from esamp.studies.rows import arrow
from esamp.studies.study import Study

__all__ = ["score_table"]

_GROUP = ("arm", "task", "problem", "seed")
_INTEGERS, _FLOATS = ("token_ids", "candidates"), ("log_probs", "reference_log_probs", "novelty", "kl")


def score_table(study: Study, rows: Any, embedder: Embedder) -> Any:
    """Scores of a study's samples as a `pyarrow.Table`, in the order of its arms.

    Args:
        study: the study.
        rows: its rows, by `read_rows`.
        embedder: for Vendi and cosine.
    """
    groups: defaultdict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows.to_pylist():
        groups[tuple(row[name] for name in _GROUP)].append(row)
    scored: list[dict[str, Any]] = []
    for arm in study.arms:
        columns = _columns(arm.settings)
        for key, of in groups.items():
            if key[0] != arm.name:
                continue
            measured = asdict(score_samples([_sample(row) for row in of], embedder))
            seconds = sum(row["seconds"] for row in of)
            measured["tokens_per_second"] = sum(len(row["token_ids"]) for row in of) / seconds
            head = dict(zip(_GROUP, key, strict=True))
            head |= {"plain": arm.plain, "n": len(of), "model": study.model}
            scored.append({**columns, **head, **measured})
    # An arm names only what it sets: what another arm sets is null for it.
    names = dict.fromkeys(name for row in scored for name in row)
    return arrow().Table.from_pylist([{name: row.get(name) for name in names} for row in scored])


def _sample(row: dict[str, Any]) -> Sample:
    integers = {name: torch.tensor(row[name], dtype=torch.int64) for name in _INTEGERS}
    floats = {
        name: torch.tensor([torch.nan if value is None else value for value in row[name]], dtype=torch.float32)
        for name in _FLOATS
    }
    return Sample(
        prompt=0, index=row["index"], text=row["text"], finish_reason=row["finish_reason"], **integers, **floats
    )


def _columns(settings: dict[str, Any]) -> dict[str, Any]:
    """An arm's settings, one type a column: a schedule goes into a column of its own, a part is written as text."""
    columns: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, int | float):
            columns[key] = value if isinstance(value, bool) else float(value)
        elif value is not None:
            columns[f"{key}_schedule" if key in ("beta", "temperature") else key] = _said(value)
    return columns


def _said(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    arguments: dict[str, Any] = value.get("init_args") or {}
    listed = ", ".join(f"{key}={_said(each)}" for key, each in arguments.items())
    return f"{value.get('class_path')}({listed})" if listed else str(value.get("class_path"))
