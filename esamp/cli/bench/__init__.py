"""`esamp bench`: how fast the library is on this machine, and how fast it could be on any."""

from __future__ import annotations

import importlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from esamp.checks import check_choice

__all__ = ["BENCHES", "Benches", "parser", "run"]

BENCHES = {
    "overhead": "what ESamp adds to the same loop with β = 0, in alternating pairs of runs or of steps",
    "generate": "the loop with ESamp against model.generate without it: tokens/s and peak memory",
    "vllm": "vLLM with ESamp against vLLM without it, each in its own process, and where the loss goes",
    "growth": "the time of a step over rows, prompts, hidden size and vocabulary, with a plot",
    "profile": "where the time of a step goes, and what the distiller's floor is",
    "overlap": "what a scheduler is worth, and a timeline",
    "roofline": "what ESamp must cost on GPUs, from bytes and operations alone",
    "tables": "the tables of a folder of measurements, each row with its command",
}
"""Each has a module of its name in this package, with `parser()` and `run(options, command)`."""

# What a measurement depends on beside its options.
_ENVIRONMENT = ("OMP_NUM_THREADS", "ESAMP_KERNELS")


@final
@dataclass(frozen=True)
class _Chosen:
    """A bench, its options, and the command line that they were read from."""

    module: Any
    options: Any
    command: str


@final
class Benches:
    """Parses the name of a bench, then the options of that bench."""

    def parse(self, argv: Sequence[str]) -> _Chosen:
        """The bench that is meant, with its options.

        Raises:
            TypeError: a part's argument is of the wrong type.
            ValueError: there is no such bench, or an option is wrong.
        """
        if not argv or argv[0] in ("-h", "--help"):
            print(_help())
            raise SystemExit(0)
        module: Any = importlib.import_module(f"{__name__}.{check_choice('bench', argv[0], BENCHES)}")
        options = module.parser().parse(argv[1:])
        setting = [f"{name}={os.environ[name]}" for name in _ENVIRONMENT if name in os.environ]
        return _Chosen(module, options, " ".join([*setting, shlex.join(["esamp", "bench", *argv])]))


def parser() -> Benches:
    """What reads the arguments of `esamp bench`."""
    return Benches()


def run(chosen: _Chosen) -> int:
    """Run the bench."""
    return chosen.module.run(chosen.options, chosen.command)


def _help() -> str:
    width = max(map(len, BENCHES))
    listed = [f"  {name:{width}}  {summary}" for name, summary in BENCHES.items()]
    return "\n".join(
        ["usage: esamp bench NAME [options]", "", *listed, "", "`esamp bench NAME --help` shows a bench's options."]
    )
