"""`esamp generate`: n samples of each prompt, beside plain sampling with the same seed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, final

from typing_extensions import override

from esamp.callbacks import Callback, GenerateStart, JSONLWriter
from esamp.candidates import Filters
from esamp.cli.arguments import add_filters, add_model, add_sampler, filter_options, make_sampler
from esamp.cli.console import make_console, show_prompt, show_samples, show_scores, show_selection
from esamp.cli.files import check_writable
from esamp.cli.parsing import Parser
from esamp.cli.quiet import quiet
from esamp.cli.run_manifest import ManifestWriter
from esamp.cli.runs import compile_first, plain_twin, timed_run
from esamp.cli.signals import exit_code
from esamp.cli.spelling import Spelling
from esamp.metrics import Embedder, MiniLM, score
from esamp.selection import parse_selector, selectors

__all__ = ["parser", "run"]

_EXAMPLES = """\
examples:
  esamp generate "Tell me a joke"
  esamp generate "Tell me a joke" "Name a colour" -n 32 --beta 0.5 --temperature 0.8 --json out.jsonl
  esamp generate "Tell me a joke" --distiller mlp --distiller.width 256
  esamp generate "Tell me a joke" --distiller my_package.MyDistiller --distiller.size 3
  esamp generate "What is 6 times 7?" --select 'majority:\\d+'
  esamp generate --config study.yaml --seed 1          (the command line wins over the file)
  esamp generate "Tell me a joke" --beta 0.5 --print_config > study.yaml
"""


def parser() -> Parser:
    """The options of `esamp generate`."""
    made = Parser(
        "generate",
        Spelling("prompts", flags=("--no-chat", "--no-compare"), lists=("--stop",)),
        usage="PROMPT ... [options]",
        description=(
            "Draws n samples of each prompt with ESamp and prints them; then does the same with plain sampling and\n"
            "the same seed, and prints the scores of both."
        ),
        epilog=_EXAMPLES,
    )
    made.add_config()
    what = made.group("what to generate")
    what.add_argument("--prompts", type=list[str], default=[], metavar="PROMPT", help="one or more prompts")
    what.add_argument("--prompts-file", type=str, default=None, metavar="FILE", help="more prompts, one a line")
    what.add_argument("-n", "--n", type=int, default=16, metavar="N", help="samples of each prompt (16)")
    what.add_argument(
        "--waves", type=int, default=1, metavar="W", help="decode the n samples in W waves, one after another (1)"
    )
    what.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="longest sample, in tokens (128)")
    what.add_argument("--stop", type=list[str], default=[], metavar="TEXT", help="text that ends a sample; repeatable")
    what.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples (0)")
    what.add_argument("--batch-size", type=int, default=None, metavar="N", help="prompts decoded together (all)")
    what.add_argument(
        "--no-chat", action="store_true", help="raw text; else prompts go through the model's chat template, if any"
    )
    add_filters(made)
    add_sampler(made)
    add_model(made)
    output = made.group("output")
    output.add_argument(
        "--select",
        type=str | None,
        default=None,
        metavar="HOW",
        help=f"choose among the samples: {', '.join(selectors.names())}, or the dotted path of a class; an argument "
        "follows a colon: majority:REGEX (its last match is the answer), best:REWARD, rerank:REWARD (dotted path of a "
        "function of prompt and texts; without it, the likeliest), diverse:M",
    )
    output.add_argument(
        "--json",
        type=str,
        default=None,
        metavar="FILE",
        help="every ESamp sample as a line of JSON, and what they were made with in FILE.manifest.json",
    )
    output.add_argument("--no-compare", action="store_true", help="leave plain sampling and the scores out")
    return made


def run(options: Any) -> int:
    """Generate, print, compare. Ctrl-C and SIGTERM leave complete lines in the JSON file and give 130 and 143."""
    if options.json is not None:
        check_writable("json", options.json)
    lines = _Lines(options.json)
    try:
        with quiet():
            _generate(options, lines)
    except KeyboardInterrupt as stopped:
        print(f"esamp: interrupted; {lines.summary()}", file=sys.stderr)
        return exit_code(stopped)
    return 0


@final
class _Lines(Callback):
    """Knows how many samples the JSON file holds."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.total = 0

    @override
    def on_generate_start(self, start: GenerateStart) -> None:
        self.total = start.samples

    def summary(self) -> str:
        """How many samples are saved, and where."""
        if self.path is None:
            return "no sample is saved, use --json FILE to keep them as they finish"
        if self.total == 0:
            return f"no sample was finished, {self.path} is as it was"
        # The file itself is asked: a signal may come between the writing of a line and any count of ours.
        saved = Path(self.path).read_bytes().count(b"\n")
        return f"{saved} of {self.total} samples are saved in {self.path}"


def _generate(options: Any, lines: _Lines) -> None:
    prompts = _prompts(options.prompts, options.prompts_file)
    filters = filter_options(options)
    how: str | None = options.select
    selector = None if how is None else parse_selector(how)
    sampler = make_sampler(options)
    explores = sampler.beta != 0
    compare = not options.no_compare and explores
    embedder, note = _embedder() if not options.no_compare else (None, "")
    arguments: dict[str, Any] = {
        "n": options.n,
        "waves": options.waves,
        "max_new_tokens": options.max_new_tokens,
        **filters,
        "seed": options.seed,
        "stop": options.stop,
        "batch_size": options.batch_size,
        "chat": not options.no_chat and sampler.engine.tokenizer.chat_template is not None,
    }
    console = make_console()
    console.print(f"Pipeline of a decode step, {options.model}, seed {options.seed}", style="bold", markup=False)
    console.print(sampler.describe(Filters(**filters)), "", sep="\n", markup=False)
    name = "ESamp" if explores else "plain"
    callbacks: list[Callback] = [lines]
    if options.json:
        manifest = ManifestWriter(options.json, options.model, sampler.engine.model, {"prompts": prompts})
        callbacks = [JSONLWriter(options.json), manifest, lines]
    compile_first(sampler, prompts[0])
    explored = timed_run(sampler, prompts, name, callbacks, **arguments)
    for index, (prompt, samples) in enumerate(zip(prompts, explored.result.samples, strict=True)):
        show_prompt(console, prompt)
        show_samples(console, samples)
        if how is not None and selector is not None:
            show_selection(console, how, selector(explored.result.prompts[index], samples))
    if options.no_compare:
        return
    columns = {name: score(explored.result, embedder, explored.seconds)}
    if compare:
        plain = timed_run(plain_twin(sampler), prompts, "plain", beta=0.0, **arguments)
        columns = {"plain": score(plain.result, embedder, plain.seconds), **columns}
    show_scores(console, columns)
    if note:
        console.print(note, style="dim", markup=False)


def _prompts(given: list[str], file: str | None) -> list[str]:
    """The prompts of the command line, then those of the file.

    Raises:
        ValueError: there is none, or the file cannot be read.
    """
    listed = list(given)
    if file is not None:
        try:
            text = Path(file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"prompts-file must be a text file, and {file!r} cannot be read: {error}") from error
        listed += [line for line in text.splitlines() if line.strip()]
    if not listed:
        raise ValueError('no prompt was given; write one: esamp generate "Tell me a joke"')
    return listed


def _embedder() -> tuple[Embedder | None, str]:
    """The sentence embedder, or why there is none: the other scores do not need it."""
    try:
        return MiniLM(), ""
    except ModuleNotFoundError as error:
        return None, f"Without Vendi and cosine: {error}"
