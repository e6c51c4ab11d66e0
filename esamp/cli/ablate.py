"""`esamp ablate`: a grid of parts × β × seeds against plain sampling over a sweep of temperatures."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from esamp.cli.console import make_console
from esamp.cli.files import check_folder
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.cli.spelling import Spelling
from esamp.cli.study_file import read_study
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.loading import load
from esamp.metrics import MiniLM
from esamp.studies.figures import check_matplotlib, draw_frontier
from esamp.studies.run import run_study
from esamp.studies.store import CellStore, arrow
from esamp.studies.study import Study
from esamp.studies.summary import markdown, summarise

__all__ = ["parser", "run"]

_DESCRIPTION = """\
Runs every arm of a study with every seed, keeps each cell as parquet as soon as it is done, and writes a
tidy table (table.parquet), the summary (summary.md) and the diversity-perplexity frontier (frontier.png,
frontier.svg) to OUT. Run again, it goes on where it was stopped."""
_EPILOG = """\
a study is a YAML file:
  prompts: [Tell me a joke, Name a colour]     (or prompts_file: FILE)
  n: 8
  seeds: [0, 1, 2]
  temperatures: [0.7, 1.0, 1.3]                (of plain sampling: the line to beat)
  common: {min_p: 0.05}                        (of every arm)
  grid: {distiller: [mlp, low_rank], beta: [0.25, 0.5]}
  arms: {never learns: {distiller: frozen, beta: 0.5}}
"""


def parser() -> Parser:
    """The options of `esamp ablate`."""
    made = Parser("ablate", Spelling("study"), usage="STUDY.yaml [options]", description=_DESCRIPTION, epilog=_EPILOG)
    options = made.group("study")
    options.add_argument("--study", type=list[str], default=[], metavar="FILE", help="the study, a YAML file")
    options.add_argument(
        "--out", type=str, default=None, metavar="FOLDER", help="where the results go (runs/ablate/NAME OF THE STUDY)"
    )
    options.add_argument("--dtype", type=str, default="auto", help="of the model (auto: the checkpoint's own)")
    options.add_argument("--device", type=str, default=None, help="cpu, cuda, ... (a GPU where there is one)")
    return made


def run(options: Any) -> int:
    """Run what is missing, then report. Ctrl-C keeps every cell that is done and gives 130."""
    if len(options.study) != 1:
        raise ValueError(f"study must be one YAML file, got {options.study}; `esamp ablate --help` shows what is in it")
    study = read_study(options.study[0])
    out = check_folder("out", options.out or f"runs/ablate/{Path(options.study[0]).stem}")
    check_matplotlib()
    arrow()
    store = CellStore(out / "cells")
    try:
        with quiet():
            _run_cells(study, store, options)
    except KeyboardInterrupt:
        kept, cells = sum(store.has(cell) for cell in study.cells()), list(study.cells())
        print(
            f"esamp: interrupted; {kept} of {len(cells)} cells are kept in {out}, run it again to go on",
            file=sys.stderr,
        )
        return 130
    _report(study, store, out)
    return 0


def _run_cells(study: Study, store: CellStore, options: Any) -> None:
    cells = list(study.cells())
    missing = sum(not store.has(cell) for cell in cells)
    samples = missing * len(study.prompts) * study.n
    print(
        f"{len(study.arms)} arms x {len(study.seeds)} seeds, {len(cells) - missing} cells of {len(cells)} done before; "
        f"{samples} samples to draw",
        flush=True,
    )
    if not missing:
        return
    engine = HuggingFaceEngine(*load(study.model, options.dtype, options.device))
    spent, ran, start = 0.0, 0, time.perf_counter()
    for done in run_study(study, engine, MiniLM(), store):
        if done.seconds is None:
            continue
        spent, ran = time.perf_counter() - start, ran + 1
        left = spent / ran * done.left / 60
        print(
            f"{missing - done.left}/{missing}  seed {done.cell.seed}  {done.cell.arm.name}: {done.seconds:.0f} s, "
            f"about {left:.0f} min left",
            flush=True,
        )


def _report(study: Study, store: CellStore, out: Path) -> None:
    table = store.table(study)
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
