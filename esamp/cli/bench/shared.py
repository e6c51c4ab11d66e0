"""Options and output that the benches share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, final

from esamp.cli.arguments import add_model, add_sampler, sampler_parts
from esamp.cli.console import make_console
from esamp.cli.files import check_writable
from esamp.cli.parsing import Parser
from esamp.cli.spelling import Spelling
from esamp.distillers import distillers
from esamp.fusion import fusions
from esamp.sampler import ESampSampler
from esamp.schedules import name_value
from esamp.studies.speed.record import Computer, Record
from esamp.studies.speed.spec import SamplerSpec
from esamp.testing.random_llama import RANDOM_LLAMAS

__all__ = ["PROMPT", "Report", "add_workload", "bench_parser", "sampler_spec", "settings_of", "title"]

PROMPT = "Tell me a story about a lighthouse keeper."
"""What every row writes on, as often as there are prompts."""


def bench_parser(name: str, description: str, *, flags: tuple[str, ...] = ()) -> Parser:
    """The parser of a bench."""
    return Parser(f"bench {name}", Spelling(flags=flags), usage="[options]", description=description)


def add_workload(made: Parser, *, tokens: int, pairs: str) -> Any:
    """What is measured: the workload, the sampler, the model, and where it is written down; returns the first group."""
    options = made.group("measurement")
    options.add_argument("-n", "--n", type=int, default=16, metavar="N", help="samples of each prompt (16)")
    options.add_argument("--prompts", type=int, default=1, metavar="P", help="number of prompts (1)")
    options.add_argument(
        "--max-new-tokens", type=int, default=tokens, metavar="N", help=f"tokens of each sample ({tokens})"
    )
    options.add_argument("--min-p", type=float | None, default=0.05, metavar="P", help="the filter of both (0.05)")
    if pairs:
        options.add_argument("--pairs", type=int, default=None, metavar="N", help=pairs)
    add_json(options)
    add_sampler(made)
    add_model(made, "".join(f"{name}, " for name in RANDOM_LLAMAS))
    return options


def add_json(group: Any) -> None:
    """Where the record goes."""
    group.add_argument("--json", type=str, default=None, metavar="FILE", help="keep settings, machine and all times")


def sampler_spec(options: Any) -> SamplerSpec:
    """Which model and parts the options describe.

    Raises:
        ValueError: β is neither a number nor a schedule.
    """
    return SamplerSpec(options.model, options.dtype, options.device, sampler_parts(options))


def settings_of(sampler: ESampSampler, options: Any) -> dict[str, Any]:
    """What a record says of the model, the parts and the workload."""
    engine = sampler.engine
    weight = engine.head.weight
    return {
        "model": options.model,
        "parameters": sum(parameter.numel() for parameter in engine.model.parameters()),
        "hidden_size": weight.shape[1],
        "vocabulary": weight.shape[0],
        "dtype": str(weight.dtype).removeprefix("torch."),
        "device": engine.device.type,
        "distiller": distillers.describe(sampler.distiller),
        "memory_of_a_prompt": sampler.distiller.memory(weight.shape[1]),
        "fusion": fusions.describe(sampler.fusion),
        "scheduler": type(sampler.scheduler).__name__,
        "compiled": bool(engine.compiled),
        "beta": name_value(sampler.beta),
        "prompts": options.prompts,
        "n": options.n,
        "max_new_tokens": options.max_new_tokens,
        "min_p": options.min_p,
    }


def title(settings: dict[str, Any]) -> str:
    """One line: model, distiller, workload."""
    compiled = ", compiled" if settings["compiled"] else ""
    return (
        f"{settings['model']} ({settings['dtype']}{compiled}), {settings['distiller']}, "
        f"{settings['prompts']} x {settings['n']} samples of {settings['max_new_tokens']} tokens:"
    )


@final
class Report:
    """Prints what a bench found, and writes it down where that was asked for.

    To be made before anything is measured: a file that cannot be written is told at once.

    Args:
        bench: its name.
        command: the command line.
        path: of the JSON file, or None.

    Raises:
        ValueError: no file can be written there.
    """

    def __init__(self, bench: str, command: str, path: str | None) -> None:
        self.bench: str = bench
        self.command: str = command
        self.path: Path | None = None if path is None else check_writable("json", path)
        self.computer: Computer = Computer.here()
        self._console = make_console()

    def say(self, *lines: str) -> None:
        """Print lines as they are."""
        for line in lines:
            self._console.print(line, markup=False, soft_wrap=True)

    def write(self, settings: dict[str, Any], result: dict[str, Any], sampler: ESampSampler | None = None) -> None:
        """Write the record, if a file was given."""
        if self.path is None:
            return
        here = Computer.here(None if sampler is None else sampler.engine.device)
        # The load is that of the beginning: by now this measurement is part of it.
        computer = replace(here, load=self.computer.load)
        Record.now(self.bench, self.command, settings, result, computer).write(self.path)
        self.say(f"written to {self.path}")
