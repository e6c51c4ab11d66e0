"""`esamp bench`: what ESamp costs on this machine, and what overlap saves of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from esamp.checks import check_choice
from esamp.cli.arguments import add_model, add_sampler, make_sampler
from esamp.cli.console import make_console
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.cli.spelling import Spelling
from esamp.sampler import ESampSampler
from esamp.studies.figures import check_matplotlib
from esamp.studies.overhead import measure_overhead
from esamp.studies.overlap import measure_overlap
from esamp.studies.timeline import trace
from esamp.studies.timeline_plot import plot_timeline

__all__ = ["parser", "run"]

_PROMPT = "Tell me a story about a lighthouse keeper."

# Enough steps to see that they are all alike.
_TIMELINE_TOKENS = 4


def parser() -> Parser:
    """The options of `esamp bench`."""
    made = Parser(
        "bench",
        Spelling("what"),
        usage="overhead|overlap [options]",
        description=(
            "overhead: times the decode loop with β = 0 and with ESamp in alternating pairs, all samples of equal\n"
            "length, and prints the time that ESamp adds: the median over the pairs, with its quartiles.\n"
            "overlap: the same for ESamp in line and under --scheduler, and a timeline of a few steps: a trace for\n"
            "Perfetto (ui.perfetto.dev) or chrome://tracing, and a picture."
        ),
    )
    options = made.group("measurement")
    options.add_argument("--what", type=list[str], default=["overhead"], metavar="WHAT", help="overhead, overlap")
    options.add_argument("-n", "--n", type=int, default=16, metavar="N", help="samples of each prompt (16)")
    options.add_argument("--prompts", type=int, default=1, metavar="P", help="number of prompts (1)")
    options.add_argument("--max-new-tokens", type=int, default=16, metavar="N", help="tokens of each sample (16)")
    options.add_argument("--min-p", type=float | None, default=0.05, metavar="P", help="the filter of both (0.05)")
    options.add_argument("--pairs", type=int, default=11, metavar="N", help="pairs, after one to warm up (11)")
    options.add_argument(
        "--out", type=Path, default=Path("runs/overlap"), metavar="FOLDER", help="for the timeline (runs/overlap)"
    )
    add_sampler(made)
    add_model(made)
    return made


def run(options: Any) -> int:
    """Measure, and print a line for each measurement."""
    for what in options.what:
        check_choice("bench", what, _BENCHES)
    if "overlap" in options.what:
        check_matplotlib()
    console = make_console()
    with quiet():
        sampler = make_sampler(options)
        for what in options.what:
            _BENCHES[what](sampler, options, console)
    return 0


def _workload(options: Any) -> dict[str, Any]:
    return {"n": options.n, "max_new_tokens": options.max_new_tokens, "min_p": options.min_p}


def _title(sampler: ESampSampler, options: Any) -> str:
    name = type(sampler.distiller).__name__
    return f"{name}, {options.prompts} x {options.n} samples of {options.max_new_tokens} tokens"


def _overhead(sampler: ESampSampler, options: Any, console: Console) -> None:
    overhead = measure_overhead(sampler, [_PROMPT] * options.prompts, **_workload(options), pairs=options.pairs)
    console.print(f"{_title(sampler, options)}:", markup=False)
    console.print(overhead.summary(), markup=False)


def _overlap(sampler: ESampSampler, options: Any, console: Console) -> None:
    prompts, folder = [_PROMPT] * options.prompts, options.out
    measured = measure_overlap(sampler, prompts, **_workload(options), pairs=options.pairs)
    console.print(f"{_title(sampler, options)}:", markup=False)
    console.print(measured.summary(), markup=False)
    few = {**_workload(options), "max_new_tokens": _TIMELINE_TOKENS, "ignore_eos": True}
    timeline = trace(sampler, prompts, folder / "overlap.json", **few)
    title = f"{measured.scheduler}, {type(sampler.distiller).__name__}, {options.prompts} x {options.n} samples"
    plot_timeline(timeline, folder / "overlap.png", title)
    console.print(f"The distiller works beside the LLM for {timeline.overlap:.0%} of its time", markup=False)
    console.print(f"trace: {folder / 'overlap.json'}, picture: {folder / 'overlap.png'}", markup=False, soft_wrap=True)


_BENCHES = {"overhead": _overhead, "overlap": _overlap}
