"""`esamp bench roofline`: what ESamp must cost, from bytes and operations."""

from __future__ import annotations

from typing import Any

import torch

from esamp.checks import check_choice
from esamp.cli.bench.shared import Report, bench_parser
from esamp.cli.parsing import Parser
from esamp.studies.speed.roofline.machines import measure_machine
from esamp.studies.speed.roofline.models import LLAMA_1B, SMOLLM_135M
from esamp.studies.speed.roofline.tables import all_tables, share_table

__all__ = ["parser", "run"]


def parser() -> Parser:
    """The options of `esamp bench roofline`."""
    made = bench_parser(
        "roofline",
        'Prints the tables of the page "What ESamp costs": the floors of a decode step and of what each distiller\n'
        "adds, "
        "on machines whose bandwidth and arithmetic are those of their data sheets.",
        flags=("--here",),
    )
    options = made.group("tables")
    options.add_argument("--table", type=str, default="all", metavar="NAME", help="shares, parts, memory, paper (all)")
    options.add_argument(
        "--here", action="store_true", help="measure this machine's bandwidth and arithmetic, and use those"
    )
    return made


def run(options: Any, command: str) -> int:
    """Print the tables."""
    report = Report("roofline", command, None)
    if options.here:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        machine = measure_machine(device, "this machine")
        report.say(
            f"{machine.name}: {machine.bandwidth / 1e9:.1f} GB/s, {machine.single / 1e9:.0f} GFLOP/s in float32, "
            f"{machine.half / 1e9:.0f} in 16 bits"
        )
        for model in (SMOLLM_135M, LLAMA_1B):
            report.say("", share_table(model, machine))
        return 0
    tables = all_tables()
    chosen = check_choice("table", options.table, ["all", *tables])
    for name, table in tables.items():
        if chosen in ("all", name):
            report.say("", table)
    return 0
