"""`esamp demo`: both methods on a few prompts, and a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from esamp.cli.arguments import add_model, add_sampler, make_sampler
from esamp.cli.console import make_console, show_prompt, show_samples, show_scores
from esamp.cli.files import check_writable
from esamp.cli.page import make_page, render
from esamp.cli.page.render import check_jinja
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.cli.runs import Run, compile_first, plain_twin, timed_run
from esamp.cli.spelling import Spelling
from esamp.engines.huggingface.embedded import EMBEDDED_NAME
from esamp.metrics import MiniLM, score
from esamp.sampler import ESampSampler
from esamp.schedules import name_value

__all__ = ["PROMPTS", "parser", "run"]

PROMPTS = ("Write the first sentence of a novel.", "What should I name my cat, and why?")
"""One prompt with endless answers, and one to which models keep giving the same few."""

_SHOWN = 3
_LAST = "One run of a few prompts proves nothing. The page with all samples, coloured by novelty:"


def parser() -> Parser:
    """The options of `esamp demo`."""
    made = Parser(
        "demo",
        Spelling("prompts"),
        usage="[PROMPT ...] [options]",
        description=(
            "Samples two prompts with plain sampling and with ESamp, prints some of the samples and the scores, and\n"
            "writes a page with all of them. About two minutes on two cores, once the model is converted."
        ),
    )
    options = made.group("demo")
    options.add_argument("--prompts", type=list[str], default=list(PROMPTS), metavar="PROMPT", help="your own prompts")
    options.add_argument("--out", type=str, default="runs/demo/index.html", metavar="FILE", help="where the page goes")
    options.add_argument("-n", "--n", type=int, default=16, metavar="N", help="samples of each prompt (16)")
    options.add_argument("--max-new-tokens", type=int, default=64, metavar="N", help="longest sample, in tokens (64)")
    options.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples (0)")
    add_sampler(made, preset="explore")
    add_model(made)
    return made


def run(options: Any) -> int:
    """Sample twice, print, write the page; its path is the last line."""
    out = check_writable("out", options.out)
    if options.sampler.beta == 0:
        raise ValueError("beta must be > 0, got 0; plain sampling is shown anyway")
    check_jinja()
    console = make_console()
    with quiet():
        embedder = MiniLM()
        once = ", which is converted on first use: about a minute" if options.model == EMBEDDED_NAME else ""
        console.print(f"Loading {options.model}{once}", markup=False)
        sampler = make_sampler(options)
        compile_first(sampler, options.prompts[0])
        runs = _both(sampler, options)
        for index, prompt in enumerate(options.prompts):
            show_prompt(console, prompt)
            for name, made in runs.items():
                console.print(f"{name}, the first {min(_SHOWN, options.n)} of {options.n}:", style="dim")
                show_samples(console, made.result.samples[index][:_SHOWN])
        show_scores(console, {name: score(made.result, embedder) for name, made in runs.items()})
        results = {name: made.result for name, made in runs.items()}
        page = make_page(options.prompts, results, sampler.engine, embedder, _facts(sampler, options, runs))
        _write(out, render(page))
    console.print("", _LAST, sep="\n", style="dim")
    print(out.resolve())
    return 0


def _both(sampler: ESampSampler, options: Any) -> dict[str, Run]:
    """A plain and an ESamp run. A tensor of zeros as β: the distiller watches the plain samples and steers nothing."""
    arguments: dict[str, Any] = {
        "n": options.n,
        "max_new_tokens": options.max_new_tokens,
        "seed": options.seed,
        "chat": sampler.engine.tokenizer.chat_template is not None,
    }
    runs: dict[str, Run] = {}
    watching = torch.zeros(max(options.n, 1))
    for name, of, beta in (("plain", plain_twin(sampler), watching), ("ESamp", sampler, None)):
        runs[name] = timed_run(of, options.prompts, name, beta=beta, **arguments)
        samples, tokens = options.n * len(options.prompts), runs[name].result.tokens
        print(f"{name}: {samples} samples, {tokens} tokens in {runs[name].seconds:.0f} s", flush=True)
    return runs


def _facts(sampler: ESampSampler, options: Any, runs: dict[str, Run]) -> list[tuple[str, str]]:
    """What produced the page, for its last lines."""
    settings = runs["ESamp"].result.settings
    named = {"samples": "n", "longest sample": "max_new_tokens", "temperature": "temperature", "min-p": "min_p"}
    parts = [(part, str(settings[part])) for part in ("distiller", "fusion", "draw", "scheduler")]
    numbers = [(label, f"{settings[key]:g}") for label, key in named.items()]
    return [
        ("model", str(options.model)),
        *parts,
        ("β", str(name_value(sampler.beta))),
        *numbers,
        ("seed", str(options.seed)),
    ]


def _write(out: Path, text: str) -> None:
    """All or nothing: an older page stays whole if writing fails."""
    scratch = out.with_name(f".{out.name}.part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(out)
