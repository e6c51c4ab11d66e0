"""`esamp bench generate`: our loop with ESamp against `model.generate` without it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from esamp.cli.bench.shared import PROMPT, Report, add_workload, bench_parser, sampler_spec, settings_of, title
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.studies.speed.against_generate import Workload, generate_ours, generate_theirs, measure_against_generate
from esamp.studies.speed.peak_memory import PeakMemory, measure_peak_memory

__all__ = ["parser", "run"]

# Whose answers are of all lengths.
_QUESTION = "Which dish should I cook tonight?"

_PAIRS = 11


def parser() -> Parser:
    """The options of `esamp bench generate`."""
    made = bench_parser(
        "generate",
        "Times the loop with ESamp on, and model.generate(do_sample=True, num_return_sequences=n) of the same\n"
        "model object without ESamp, in alternating pairs, and prints the ratio of tokens/s: the median over the\n"
        "pairs, with its quartiles. It also runs each once in a fresh process and prints the peak of its memory.",
        flags=("--ragged", "--no-memory"),
    )
    options = add_workload(made, tokens=128, pairs=f"pairs, after one to warm up ({_PAIRS})")
    options.add_argument(
        "--ragged",
        action="store_true",
        help="samples answer a question and end at the model's own end tokens, as in use; tokens are counted up to "
        "there on both sides",
    )
    options.add_argument("--no-memory", action="store_true", help="leave the peak memory out")
    return made


def run(options: Any, command: str) -> int:
    """Measure, print, and keep what was asked to be kept."""
    report = Report("generate", command, options.json)
    prompts = [_QUESTION if options.ragged else PROMPT] * options.prompts
    workload = Workload(prompts, options.n, options.max_new_tokens, options.min_p, options.ragged)
    spec = sampler_spec(options)
    with quiet():
        # First, so that this process has no model in memory beside theirs.
        memory = {} if options.no_memory else _memory(spec, workload)
        sampler = spec.build()
        measured = measure_against_generate(sampler, workload, _PAIRS if options.pairs is None else options.pairs)
    settings = settings_of(sampler, options) | {"ragged": options.ragged}
    report.say(title(settings), measured.summary())
    for name, peak in memory.items():
        on_gpu = "" if peak.device is None else f", {peak.device / 1e6:.0f} MB on the GPU"
        report.say(f"peak memory, {name}: {peak.peak / 1e6:.0f} MB, of which {peak.loaded / 1e6:.0f} loaded{on_gpu}")
    kept = {name: asdict(peak) for name, peak in memory.items()}
    report.write(settings, measured.to_dict() | {"memory": kept}, sampler)
    return 0


def _memory(spec: Any, workload: Workload) -> dict[str, PeakMemory]:
    sides = {"ours": generate_ours, "theirs": generate_theirs}
    return {name: measure_peak_memory(spec, workload, generate) for name, generate in sides.items()}
