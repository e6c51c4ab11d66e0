"""`esamp ray`: samples of every prompt of a parquet file, by vLLM engines on a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from esamp.cli.arguments import add_filters, filter_options
from esamp.cli.parsing import Parser, json_mapping
from esamp.cli.spelling import Spelling
from esamp.ray_job import RayJob

__all__ = ["parser", "run"]

_DRAWN = ("n", "waves", "max_new_tokens", "stop", "ignore_eos", "chat", "seed")
_EPILOG = """\
examples:
  esamp ray prompts.parquet --out samples --model Qwen/Qwen3-8B -n 16 --engines 4 --gpus 1 --key id
  esamp ray prompts.parquet --out samples --engine '{"tensor_parallel_size": 2}' --gpus 2 --beta 0.5

On a cluster, start it where RAY_ADDRESS names the cluster; PROMPTS and --out must be seen by all nodes."""


def parser() -> Parser:
    """The options of `esamp ray`."""
    made = Parser(
        "ray",
        Spelling("prompts", flags=("--chat", "--ignore-eos"), lists=("--stop",)),
        usage="PROMPTS.parquet --out FOLDER [options]",
        description=(
            "Draws n samples of every prompt of a parquet file or folder and writes a row for each to a folder of\n"
            "parquet files, batch by batch. With --key it goes on where it was stopped."
        ),
        epilog=_EPILOG,
    )
    data = made.group("data")
    data.add_argument("--prompts", type=list[str], default=[], metavar="FILE", help="a parquet file or folder")
    data.add_argument("--out", type=str, default="", metavar="FOLDER", help="where the samples go")
    data.add_argument("--column", type=str, default="prompt", metavar="NAME", help="the prompts, as text (prompt)")
    data.add_argument("--key", type=str, default=None, metavar="NAME", help="a column that tells the prompts apart")
    what = made.group("what to generate")
    what.add_argument("-n", "--n", type=int, default=16, metavar="N", help="samples of each prompt (16)")
    what.add_argument("--waves", type=int, default=1, metavar="W", help="draw them in W waves (1)")
    what.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="longest sample, in tokens (128)")
    what.add_argument("--stop", type=list[str], default=[], metavar="TEXT", help="text that ends a sample; repeatable")
    what.add_argument("--ignore-eos", action="store_true", help="go on to the longest sample")
    what.add_argument("--chat", action="store_true", help="pass the prompts through the chat template")
    what.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples (0)")
    add_filters(made)
    engine = made.group("engines")
    engine.add_argument("--model", type=str, default="smollm2-135m", help="what vLLM takes, or the embedded one")
    engine.add_argument("--sampler.beta", type=float, default=0.25, metavar="B", help="exploration strength (0.25)")
    engine.add_argument("--esamp", type=str, default="{}", metavar="JSON", help='such as {"distiller": "low_rank"}')
    engine.add_argument("--engine", type=str, default="{}", metavar="JSON", help="keyword arguments of vllm.LLM")
    engine.add_argument("--engines", type=int, default=1, metavar="N", help="how many (1)")
    engine.add_argument("--batch-size", type=int, default=16, metavar="N", help="prompts of an engine at a time (16)")
    engine.add_argument("--cpus", type=float, default=1.0, metavar="N", help="of each engine (1)")
    engine.add_argument("--gpus", type=float, default=0.0, metavar="N", help="of each engine (0)")
    return made


def run(options: Any) -> int:
    """Draw what is missing, and say how many prompts that was."""
    if len(options.prompts) != 1 or not options.out:
        raise ValueError(
            f"prompts must be one parquet file or folder, and out a folder, got {options.prompts}, {options.out!r}"
        )
    room = {"max_groups": options.batch_size, "max_lanes": options.n}
    settings = room | json_mapping("esamp", options.esamp)
    sampler = {"model": options.model, "beta": options.sampler.beta, "esamp": settings}
    drawn = {
        name: getattr(options, name) for name in ("n", "waves", "max_new_tokens", "stop", "ignore_eos", "chat", "seed")
    }
    job = RayJob(
        prompts=str(Path(options.prompts[0]).resolve()),
        out=str(Path(options.out).resolve()),
        sampler=sampler | json_mapping("engine", options.engine),
        options=drawn | filter_options(options),
        column=options.column,
        key=options.key,
        engines=options.engines,
        batch_size=options.batch_size,
        cpus=options.cpus,
        gpus=options.gpus,
    )
    print(f"{job.run()} prompts, {options.n} samples each: {job.out}")
    return 0
