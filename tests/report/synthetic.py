"""A small run of the schema of `esamp eval`, made up: two tasks, a sweep, a distiller and its control."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pyarrow
import pyarrow.parquet

from esamp.studies.rows import row_schema

BIRDS = ["robin", "sparrow", "finch", "crow", "owl", "eagle", "heron", "swan", "wren", "kite", "dove", "gull"]
WORDS = [
    "the",
    "quiet",
    "river",
    "took",
    "a",
    "long",
    "way",
    "round",
    "and",
    "nobody",
    "minded",
    "since",
    "it",
    "rained",
]
SWEEP = (0.7, 1.0, 1.3)
ESAMP = "ESamp"
CONTROL = "never learns"


def characters(text: str) -> list[int]:
    """Token ids of a tokenizer that has a token for each byte."""
    return list(text.encode())


def arms() -> dict[str, dict[str, Any]]:
    plain = {f"plain T={t:g}": {"temperature": t, "beta": 0.0} for t in SWEEP}
    return plain | {
        ESAMP: {"distiller": "recursive_least_squares", "beta": 0.5, "temperature": 1.0},
        CONTROL: {"distiller": "frozen", "beta": 0.5, "temperature": 1.0},
    }


def rows(
    encode: Callable[[str], list[int]] = characters, *, problems: int = 6, n: int = 6, skill: float = 0.0
) -> Iterator[dict[str, Any]]:
    """Samples of every arm. `skill` is how much likelier than the others ESamp is to be right."""
    for number, (arm, settings) in enumerate(arms().items()):
        temperature = settings["temperature"]
        for problem in range(problems):
            for index in range(n):
                draw = numpy.random.default_rng([number, problem, index])
                right = draw.random() < 0.4 + 0.03 * problem + (skill if arm == ESAMP else 0)
                bird = BIRDS[int(draw.integers(len(BIRDS) if arm == ESAMP else 4))]
                words = draw.choice(WORDS, size=int(draw.integers(6, 14)))
                common = {"arm": arm, "plain": settings["beta"] == 0, "temperature": temperature, "seed": 0}
                common |= {"index": index, "resets": 0, "seconds": 0.5, "loss": None if settings["beta"] == 0 else 0.8}
                naming = {"task": "naming", "problem": f"bird {problem}", "prompt": f"Q: Name bird {problem}.\nA:"}
                yield (
                    common
                    | naming
                    | _drawn(encode, bird if right else f"a {bird}?", temperature, settings, draw)
                    | {
                        "correct": bool(right),
                        "answer": bird if right else None,
                        "detail": "" if right else "no such bird",
                    }
                )
                telling = {"task": "telling", "problem": f"tale {problem}", "prompt": f"Tell tale {problem}."}
                yield (
                    common
                    | telling
                    | _drawn(encode, " ".join(words), temperature, settings, draw)
                    | {
                        "correct": None,
                        "answer": None,
                        "detail": "",
                    }
                )


def _drawn(
    encode: Callable[[str], list[int]], text: str, temperature: float, settings: dict[str, Any], draw: Any
) -> dict[str, Any]:
    ids = encode(text)
    size = len(ids)
    explored = settings["beta"] > 0
    novelty = 20 * numpy.exp(-numpy.arange(size) / 8) + draw.random(size) * 6 if explored else None
    return {
        "text": text,
        "token_ids": ids,
        "finish_reason": "length" if size > 60 else "eos",
        "log_probs": -draw.random(size) * temperature,
        "reference_log_probs": -draw.random(size) * temperature * 2,
        "novelty": novelty,
        "kl": draw.random(size) * 0.1 if explored else numpy.zeros(size),
        "candidates": draw.integers(1, 9, size),
    }


def write_run(folder: Path, made: list[dict[str, Any]], model: str = "a-model-nobody-has", **study: Any) -> Path:
    """A run folder with these rows, a file an arm."""
    (folder / "rows").mkdir(parents=True)
    for number, arm in enumerate(dict.fromkeys(row["arm"] for row in made)):
        of_arm = [row for row in made if row["arm"] == arm]
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist(of_arm, schema=row_schema()), folder / "rows" / f"{number}.parquet"
        )
    manifest = {
        "esamp": "0.1.0",
        "commit": "0000000",
        "versions": {"python": "3.11", "torch": "2.13.0"},
        "model": {"name": model, "hash": "abc", "dtype": "float32"},
        "study": {"name": "synthetic", "n": 6, "arms": arms()} | study,
        "started": "2026-11-24T12:00:00Z",
        "machine": "two cores",
        "command": "esamp eval synthetic.yaml",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
