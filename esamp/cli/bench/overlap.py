"""`esamp bench overlap`: what a scheduler is worth, and a timeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from esamp.cli.bench.shared import PROMPT, Report, add_workload, bench_parser, sampler_spec, settings_of, title
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.studies.figures import check_matplotlib
from esamp.studies.overlap import measure_overlap
from esamp.studies.timeline import trace
from esamp.studies.timeline_plot import plot_timeline

__all__ = ["parser", "run"]

# Enough steps to see that they are all alike.
_TIMELINE_TOKENS, _PAIRS = 4, 11


def parser() -> Parser:
    """The options of `esamp bench overlap`."""
    made = bench_parser(
        "overlap",
        "Times the loop with ESamp in line and under --scheduler in alternating pairs, and draws a timeline of a few\n"
        "steps: a trace for Perfetto (ui.perfetto.dev) or chrome://tracing, and a picture.",
    )
    options = add_workload(made, tokens=16, pairs=f"pairs, after one to warm up ({_PAIRS})")
    options.add_argument(
        "--out", type=Path, default=Path("runs/overlap"), metavar="FOLDER", help="for the timeline (runs/overlap)"
    )
    return made


def run(options: Any, command: str) -> int:
    """Measure, print, and draw."""
    check_matplotlib()
    report = Report("overlap", command, options.json)
    prompts, folder = [PROMPT] * options.prompts, options.out
    workload = {"n": options.n, "max_new_tokens": options.max_new_tokens, "min_p": options.min_p}
    with quiet():
        sampler = sampler_spec(options).build()
        measured = measure_overlap(
            sampler, prompts, **workload, pairs=_PAIRS if options.pairs is None else options.pairs
        )
        few = {**workload, "max_new_tokens": _TIMELINE_TOKENS, "ignore_eos": True}
        timeline = trace(sampler, prompts, folder / "overlap.json", **few)
    settings = settings_of(sampler, options)
    name = f"{measured.scheduler}, {type(sampler.distiller).__name__}, {options.prompts} x {options.n} samples"
    plot_timeline(timeline, folder / "overlap.png", name)
    report.say(
        title(settings),
        measured.summary(),
        f"The distiller works beside the LLM for {timeline.overlap:.0%} of its time",
        f"trace: {folder / 'overlap.json'}, picture: {folder / 'overlap.png'}",
    )
    report.write(settings, vars(measured) | {"overlap": timeline.overlap}, sampler)
    return 0
