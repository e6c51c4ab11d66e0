"""`esamp bench profile`: where the time of a step goes, and what the floors are."""

from __future__ import annotations

from typing import Any

from esamp.cli.bench.shared import PROMPT, Report, add_workload, bench_parser, sampler_spec, settings_of, title
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.sampler import ESampSampler
from esamp.studies.speed.profile import PARTS, profile_step
from esamp.studies.speed.roofline.distillers import esamp_step
from esamp.studies.speed.roofline.machines import Machine, measure_machine
from esamp.studies.speed.roofline.models import Batch, decode_step, read_model
from esamp.studies.speed.tables import profile_table

__all__ = ["parser", "run"]


def parser() -> Parser:
    """The options of `esamp bench profile`."""
    made = bench_parser(
        "profile",
        "Times the parts of a decode step, with β = 0 and with ESamp, and prints each one's share of the step; beside\n"
        "it the floors of the LLM's step and of ESamp's parts: bytes over this machine's measured bandwidth, or\n"
        "operations over its measured rate of matrix products, whichever takes longer.",
    )
    add_workload(made, tokens=16, pairs="")
    return made


def run(options: Any, command: str) -> int:
    """Measure, print, and keep what was asked to be kept."""
    report = Report("profile", command, options.json)
    with quiet():
        sampler = sampler_spec(options).build()
        plain, explored = profile_step(
            sampler,
            [PROMPT] * options.prompts,
            n=options.n,
            max_new_tokens=options.max_new_tokens,
            min_p=options.min_p,
        )
        machine = measure_machine(sampler.engine.device, "this machine")
    settings = settings_of(sampler, options)
    result = {
        "plain": vars(plain),
        "explored": vars(explored),
        "machine": vars(machine),
        "floors": _floors(sampler, options, machine),
        "parts": PARTS,
    }
    report.say(title(settings), "", profile_table(result))
    report.write(settings, result, sampler)
    return 0


def _floors(sampler: ESampSampler, options: Any, machine: Machine) -> dict[str, float]:
    """Seconds that the LLM and the parts of ESamp must take on this machine; empty where they are not derived."""
    engine = sampler.engine
    length = len(engine.encode(PROMPT, templated=False)) + options.max_new_tokens // 2
    batch = Batch(options.prompts, options.n, length)
    try:
        model = read_model(engine.model.config, engine.head.weight.element_size())
        parts = esamp_step(sampler.distiller, model, batch)
    except (TypeError, ValueError):
        return {}
    return {"LLM": machine.seconds(decode_step(model, batch))} | {n: machine.seconds(w) for n, w in parts.items()}
