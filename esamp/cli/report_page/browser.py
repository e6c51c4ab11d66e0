"""The samples as the page's browser wants them: columns in JSON, cut down to a size that a phone can load."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch

from esamp.cli.console import printable
from esamp.cli.page.novelty import Scale
from esamp.cli.report_page.pieces import TokenCutter
from esamp.studies.evaluated import EvaluatedRun, SampleTable

__all__ = ["BUDGET", "Browser", "make_browser", "script_json"]

BUDGET = 12_000_000
"""Bytes of samples that a page carries at most, about."""

_ROW_BYTES, _TOKEN_BYTES = 90, 18
_VERDICTS = {None: -1, False: 0, True: 1}


@final
@dataclass(frozen=True)
class Browser:
    """What the browser of samples shows.

    Attributes:
        data: JSON that can stand in a script element.
        notes: what the reader has to know: how many samples are shown, and whether tokens have colours.
    """

    data: str
    notes: list[str]


def make_browser(run: EvaluatedRun, cutter: TokenCutter | None, budget: int = BUDGET) -> Browser:
    """The samples of a run for the page.

    Args:
        run: the run.
        cutter: cuts texts into tokens; None: there is no tokenizer, and so there are no colours.
        budget: bytes, about. Above it the page has a random part of the samples, the same ones for every arm.
    """
    samples = run.samples
    kept = _within(samples, budget)
    notes = [f"All {len(samples)} samples of the run are here."]
    if len(kept) < len(samples):
        notes = [
            f"{len(kept)} of the run's {len(samples)} samples are here, to keep the page small: drawn at random, with "
            "a fixed seed, the same problems, seeds and sample numbers for every arm. All numbers and figures above "
            "are of all samples."
        ]
    if cutter is None:
        notes.append("Tokens have no colour: the tokenizer of the model is not on the machine that made this page.")
    elif not len(samples.novelty.values):
        notes.append("Tokens have no colour: no distiller watched these samples.")
    columns = _columns(run, kept) | _tokens(samples, kept, cutter)
    problems = _problems(samples)
    tables = {"arms": list(run.arms), "problems": [list(each) for each in problems.values()]}
    return Browser(script_json(tables | {"columns": columns}), notes)


def script_json(value: Any) -> str:
    """JSON that stays JSON inside a script element, whatever texts it holds.

    `<`, `>` and `&` are escaped, so that nothing in it can end the element or open a comment, and the two line
    separators that are none in JSON but were in JavaScript.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    # Half of a surrogate pair is no text that a file in UTF-8 can hold.
    return text.encode("utf-8", "backslashreplace").decode()


def _within(samples: SampleTable, budget: int) -> list[int]:
    """Rows whose size together is within the budget; a draw's key is the same in every arm."""
    sizes = [
        _ROW_BYTES + len(text.encode("utf-8", "replace")) + _TOKEN_BYTES * tokens
        for text, tokens in zip(samples.text, samples.token_ids.lengths.tolist(), strict=True)
    ]
    if sum(sizes) <= budget:
        return list(range(len(samples)))
    key_of = list(zip(samples.task, samples.problem, samples.seed, samples.index, strict=True))
    size_of: dict[tuple[Any, ...], int] = {}
    for key, size in zip(key_of, sizes, strict=True):
        size_of[key] = size_of.get(key, 0) + size
    chosen: set[tuple[Any, ...]] = set()
    for key in sorted(size_of, key=lambda key: hashlib.sha256(repr(key).encode()).digest()):
        budget -= size_of[key]
        if budget < 0 and chosen:
            break
        chosen.add(key)
    return [row for row, key in enumerate(key_of) if key in chosen]


def _problems(samples: SampleTable) -> dict[tuple[str, str], tuple[str, str, str]]:
    """Task, id and prompt of each problem."""
    named = zip(samples.task, samples.problem, samples.prompt, strict=True)
    return {(task, problem): (task, problem, printable(prompt)) for task, problem, prompt in named}


def _columns(run: EvaluatedRun, kept: Sequence[int]) -> dict[str, list[Any]]:
    samples = run.samples
    arms = {name: number for number, name in enumerate(run.arms)}
    problems = {key: number for number, key in enumerate(_problems(samples))}
    log_probs, kl = samples.reference_log_probs, samples.kl
    answers = (samples.answer[row] for row in kept)
    return {
        "arm": [arms[samples.arm[row]] for row in kept],
        "problem": [problems[samples.task[row], samples.problem[row]] for row in kept],
        "seed": [samples.seed[row] for row in kept],
        "index": [samples.index[row] for row in kept],
        "verdict": [_VERDICTS[samples.correct[row]] for row in kept],
        "answer": [None if answer is None else printable(answer) for answer in answers],
        "detail": [printable(samples.detail[row]) for row in kept],
        "finish": [samples.finish_reason[row] for row in kept],
        "text": [printable(samples.text[row]) for row in kept],
        "length": [len(samples.token_ids[row]) for row in kept],
        "perplexity": [_rounded(math.exp(min(-_mean(log_probs[row]), 99.0)), 3) for row in kept],
        "novelty": [_rounded(_mean(samples.novelty[row][1:]), 4) for row in kept],
        "kl": [_rounded(_mean(kl[row]), 3) for row in kept],
    }


def _tokens(samples: SampleTable, kept: Sequence[int], cutter: TokenCutter | None) -> dict[str, list[Any]]:
    """Of each sample's tokens: how long their pieces are, their class of novelty, and their numbers."""
    if cutter is None or not len(samples.novelty.values):
        return {}
    scale = Scale([samples.novelty[row][1:] for row in kept])
    found: dict[str, list[Any]] = {"pieces": [], "levels": [], "numbers": []}
    for row in kept:
        ids, novelty = samples.token_ids[row], samples.novelty[row]
        pieces = cutter(samples.text[row], ids.tolist()) if len(novelty) == len(ids) else None
        if pieces is None:
            for column in found.values():
                column.append(None)
            continue
        # The first token is drawn in the same place by all samples: the end of the prompt.
        levels = [None, *scale.levels(novelty[1:])][: len(ids)]
        found["pieces"].append([_units(printable(piece)) for piece in pieces])
        found["levels"].append("".join("-" if level is None else str(level) for level in levels))
        numbers = (novelty, samples.kl[row], samples.reference_log_probs[row])
        found["numbers"].append([[_rounded(value, 3) for value in values.tolist()] for values in numbers])
    return found


def _units(piece: str) -> int:
    """Length as JavaScript counts it."""
    return len(piece) + sum(ord(char) > 0xFFFF for char in piece)


def _mean(values: torch.Tensor) -> float:
    known = values[values.isfinite()]
    return float(known.double().mean()) if len(known) else math.nan


def _rounded(value: float, digits: int) -> float | None:
    """To that many significant digits; None for NaN."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
