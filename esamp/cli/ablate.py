"""`esamp ablate`: `esamp eval`, and what each arm gains in diversity over plain sampling at equal perplexity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from esamp.cli.console import make_console
from esamp.cli.eval import asked_study, study_parser
from esamp.cli.evaluation import Evaluation
from esamp.cli.parsing import Parser
from esamp.metrics import Embedder, MiniLM
from esamp.studies.figures import check_matplotlib, draw_frontier
from esamp.studies.rows import arrow, read_rows
from esamp.studies.scores import score_table
from esamp.studies.study import Study
from esamp.studies.summary import markdown, summarise

__all__ = ["parser", "run"]

_DESCRIPTION = """\
Runs a study as `esamp eval` does, into the same folder, then scores the diversity of its samples: a tidy
table (table.parquet), the summary (summary.md) and the diversity-perplexity frontier (frontier.png,
frontier.svg). Run again, it goes on where it was stopped; of a study that was run, it only writes these."""
_EPILOG = """\
a study is a YAML file:
  tasks: {prompts: {prompts: [Tell me a joke, Name a colour]}}
  n: 8
  seeds: [0, 1, 2]
  temperatures: [0.7, 1.0, 1.3]                (of plain sampling: the line to beat)
  common: {min_p: 0.05}                        (of every arm)
  grid: {distiller: [mlp, low_rank], beta: [0.25, 0.5]}
  arms: {never learns: {distiller: frozen, beta: 0.5}}
"""


def parser() -> Parser:
    """The options of `esamp ablate`."""
    return study_parser("ablate", _DESCRIPTION, _EPILOG)


def run(options: Any) -> int:
    """Run what is missing, then report. Ctrl-C and SIGTERM keep every sample and give 130 and 143."""
    study = asked_study(options)
    _check(study)
    check_matplotlib()
    out = Path(options.out or f"runs/eval/{Path(options.study[0]).stem}")
    evaluation = Evaluation(study, out)
    embedder = MiniLM()
    code = evaluation.run(options)
    if code == 0 and evaluation.speaks and not options.dry_run:
        _report(study, out, embedder)
    return code


def _check(study: Study) -> None:
    """There is a line to hold the arms against, and something to resample.

    Raises:
        ValueError: there is not.
    """
    sweep = [arm.name for arm in study.arms if arm.plain]
    if len(sweep) < 2:
        raise ValueError(f"temperatures must hold at least 2 to make a line of, got {sweep}")
    problems = sum(len(task.problems) for task in study.tasks)
    if problems < 2:
        raise ValueError(f"tasks must hold at least 2 problems, got {problems}; intervals come from resampling them")
    if study.n < 2:
        raise ValueError(f"n must be at least 2, got {study.n}; diversity is between samples")


def _report(study: Study, out: Path, embedder: Embedder) -> None:
    table = score_table(study, read_rows(out), embedder)
    arrow().parquet.write_table(table, out / "table.parquet")
    summary = summarise(table.to_pylist())
    text = markdown(summary)
    (out / "summary.md").write_text(text + "\n")
    for suffix in ("png", "svg"):
        draw_frontier(summary, out / f"frontier.{suffix}")
    console = make_console()
    console.print("", text, sep="\n", markup=False, soft_wrap=True)
    outside = any(arm.vendi_gain is not None and not arm.vendi_gain.inside for arm in summary.arms)
    if outside:
        console.print("† beyond the sweep's perplexities: its end was extended; add a temperature", markup=False)
    print((out / "frontier.png").resolve())
