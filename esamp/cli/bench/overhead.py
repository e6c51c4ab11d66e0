"""`esamp bench overhead`: what ESamp adds to the time of the same loop."""

from __future__ import annotations

import math
from typing import Any

from esamp.checks import check_choice
from esamp.cli.bench.shared import PROMPT, Report, add_workload, bench_parser, sampler_spec, settings_of, title
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.studies.speed.overhead import measure_overhead, measure_step_overhead

__all__ = ["parser", "run"]

_UNITS = {"runs": (measure_overhead, 11), "steps": (measure_step_overhead, 4)}


def parser() -> Parser:
    """The options of `esamp bench overhead`."""
    made = bench_parser(
        "overhead",
        "Times the decode loop with β = 0 and with ESamp in alternating pairs, all samples of equal length, and\n"
        "prints what ESamp adds: the median over the pairs, with its quartiles. Pairs are whole runs, setting up\n"
        "and prefill included, or single steps of two runs that take turns, which a busy machine disturbs far less.\n"
        "With --beta 0 both sides are the same, and what is printed is the zero of the instrument.",
    )
    options = add_workload(made, tokens=16, pairs="pairs of runs, after one to warm up (11; with steps 4)")
    options.add_argument("--alternate", type=str, default="runs", metavar="UNIT", help="runs or steps (runs)")
    return made


def run(options: Any, command: str) -> int:
    """Measure, print, and keep what was asked to be kept."""
    measure, pairs = _UNITS[check_choice("alternate", options.alternate, _UNITS)]
    report = Report("overhead", command, options.json)
    with quiet():
        sampler = sampler_spec(options).build()
        overhead = measure(
            sampler,
            [PROMPT] * options.prompts,
            n=options.n,
            max_new_tokens=options.max_new_tokens,
            min_p=options.min_p,
            pairs=pairs if options.pairs is None else options.pairs,
        )
    settings = settings_of(sampler, options)
    candidates = [] if math.isnan(overhead.candidates) else [f"{overhead.candidates:.1f} candidates a row"]
    report.say(title(settings), overhead.summary(), *candidates)
    report.write(settings, overhead.to_dict(), sampler)
    return 0
