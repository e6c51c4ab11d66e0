"""`esamp bench vllm`: vLLM with ESamp against vLLM as it comes."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from esamp.cli.bench.shared import PROMPT, Report, add_json, bench_parser
from esamp.cli.parsing import Parser, json_mapping
from esamp.engines.huggingface.embedded import EMBEDDED_NAME, embedded_model
from esamp.engines.vllm.compatibility import check_version
from esamp.engines.vllm.settings import Settings
from esamp.studies.speed.against_vllm import measure_against_vllm, profile_rows
from esamp.studies.speed.spec import SamplerSpec
from esamp.studies.speed.vllm_process import Workload
from esamp.testing.random_llama import RANDOM_LLAMAS

__all__ = ["parser", "run"]


def parser() -> Parser:
    """The options of `esamp bench vllm`."""
    made = bench_parser(
        "vllm",
        "Draws with vLLM as it comes, without esamp's plugin, and with ESamp, in alternating rounds of two processes,\n"
        "and prints the loss of tokens/s: the median over the rounds, with its quartiles; beside it what it costs\n"
        "only to be on, and where the time of a step with ESamp goes.",
    )
    options = made.group("measurement")
    options.add_argument("-n", "--n", type=int, default=8, metavar="N", help="samples of each prompt (8)")
    options.add_argument("--prompts", type=int, default=8, metavar="P", help="number of prompts (8)")
    options.add_argument("--max-new-tokens", type=int, default=64, metavar="N", help="tokens of each sample (64)")
    options.add_argument("--min-p", type=float, default=0.05, metavar="P", help="the filter of both (0.05)")
    options.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds, after one to warm up (5)")
    add_json(options)
    group = made.group("engine")
    group.add_argument(
        "--model",
        type=str,
        default=EMBEDDED_NAME,
        help=f"{EMBEDDED_NAME} (the embedded one), {', '.join(RANDOM_LLAMAS)}, or a folder",
    )
    group.add_argument("--sampler.beta", type=float, default=0.25, metavar="B", help="exploration strength (0.25)")
    group.add_argument(
        "--esamp", type=str, default="{}", metavar="JSON", help='settings such as {"distiller": "low_rank"}'
    )
    group.add_argument("--engine", type=str, default="{}", metavar="JSON", help="keyword arguments of vllm.LLM")
    return made


def run(options: Any, command: str) -> int:
    """Measure, print, and keep what was asked to be kept."""
    check_version()
    report = Report("vllm", command, options.json)
    workload = Workload(
        [PROMPT] * options.prompts, options.n, options.max_new_tokens, options.min_p, options.sampler.beta
    )
    room = {"max_groups": options.prompts, "max_lanes": options.n}
    settings = Settings(**(room | json_mapping("esamp", options.esamp)))
    engine = {"max_model_len": 1024, "seed": 0} | json_mapping("engine", options.engine)
    with _folder(options.model) as model:
        measured = measure_against_vllm(model, settings.plain(), workload, engine, options.rounds)
    report.say(f"{options.model}, {options.prompts} x {options.n} samples of {options.max_new_tokens} tokens:")
    report.say(*measured.summary(), "", "a step with ESamp:", *profile_rows(measured))
    kept = {"model": options.model, "esamp": settings.plain(), "engine": engine}
    report.write(kept | vars(workload), measured.to_dict())
    return 0


@contextmanager
def _folder(model: str) -> Generator[Path]:
    """Where vLLM finds the model: random ones are written down first."""
    if model in RANDOM_LLAMAS:
        with tempfile.TemporaryDirectory() as folder:
            sampler = SamplerSpec(model, device="cpu").build()
            sampler.engine.model.save_pretrained(folder)
            sampler.engine.tokenizer.save_pretrained(folder)
            del sampler
            yield Path(folder)
    else:
        yield Path(embedded_model() if model == EMBEDDED_NAME else model)
