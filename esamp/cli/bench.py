"""`esamp bench overhead`: what ESamp costs on this machine."""

from __future__ import annotations

from typing import Any

from esamp.checks import check_choice
from esamp.cli.arguments import add_model, add_sampler, make_sampler
from esamp.cli.console import make_console
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.cli.spelling import Spelling
from esamp.studies.overhead import measure_overhead

__all__ = ["parser", "run"]

_PROMPT = "Tell me a story about a lighthouse keeper."


def parser() -> Parser:
    """The options of `esamp bench`."""
    made = Parser(
        "bench",
        Spelling("what"),
        usage="overhead [options]",
        description=(
            "overhead: times the decode loop with β = 0 and with ESamp in alternating pairs, all samples of equal\n"
            "length, and prints the time that ESamp adds: the median over the pairs, with its quartiles."
        ),
    )
    options = made.group("measurement")
    options.add_argument("--what", type=list[str], default=["overhead"], metavar="WHAT", help="overhead")
    options.add_argument("-n", "--n", type=int, default=16, metavar="N", help="samples of each prompt (16)")
    options.add_argument("--prompts", type=int, default=1, metavar="P", help="number of prompts (1)")
    options.add_argument("--max-new-tokens", type=int, default=16, metavar="N", help="tokens of each sample (16)")
    options.add_argument("--min-p", type=float | None, default=0.05, metavar="P", help="the filter of both (0.05)")
    options.add_argument("--pairs", type=int, default=11, metavar="N", help="pairs, after one to warm up (11)")
    add_sampler(made)
    add_model(made)
    return made


def run(options: Any) -> int:
    """Measure and print one line."""
    for what in options.what:
        check_choice("bench", what, ("overhead",))
    console = make_console()
    with quiet():
        sampler = make_sampler(options)
        overhead = measure_overhead(
            sampler,
            [_PROMPT] * options.prompts,
            n=options.n,
            max_new_tokens=options.max_new_tokens,
            min_p=options.min_p,
            pairs=options.pairs,
        )
    name = type(sampler.distiller).__name__
    console.print(f"{name}, {options.prompts} x {options.n} samples of {options.max_new_tokens} tokens:", markup=False)
    console.print(overhead.summary(), markup=False)
    return 0
