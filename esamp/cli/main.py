"""`esamp`: finds the command, runs it, and turns our own errors into one line."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import esamp
from esamp.checks import check_choice
from esamp.cli.signals import exit_code, terminable

__all__ = ["COMMANDS", "Command", "main"]

_BAD_INPUT = 2


@dataclass(frozen=True)
class Command:
    """A subcommand: a module with `parser() -> Parser` and `run(options) -> int`, imported when it is asked for.

    Attributes:
        module: its full name.
        summary: one line for `esamp --help`.
    """

    module: str
    summary: str


COMMANDS = {
    "generate": Command("esamp.cli.generate", "n samples of each prompt, ESamp beside plain sampling, with scores"),
    "demo": Command("esamp.cli.demo", "both methods on a few prompts with the embedded model, and a page to look at"),
    "eval": Command("esamp.cli.eval", "a grid of samplers, tasks and seeds: every sample a row, on many devices"),
    "ablate": Command("esamp.cli.ablate", "the same, and what each arm gains over plain sampling, with figures"),
    "report": Command("esamp.cli.report", "a run as a page to read, with figures and every sample"),
    "fit": Command("esamp.cli.fit", "trains a distiller on text, for a warm start"),
    "serve": Command("esamp.cli.serve", "vLLM's OpenAI-compatible server with ESamp: vLLM's options and ours"),
    "ray": Command("esamp.cli.ray_job", "samples for a parquet of prompts, by vLLM engines on a Ray cluster"),
    "bench": Command("esamp.cli.bench", "what ESamp costs on this machine"),
    "tasks": Command("esamp.cli.tasks", "the tasks there are, and where their data comes from"),
    "doctor": Command("esamp.cli.doctor", "what works on this machine, and how to get the rest"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; None: those of the process.

    Returns:
        Exit code: 0, 2 for bad input (one line on stderr), 130 for Ctrl-C, 143 for SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with terminable():
            code = _dispatch(arguments)
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of our output is gone (`esamp ... | head`); Python's own flush at exit must not complain of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, ModuleNotFoundError, OSError) as error:
        print(f"esamp: error: {' '.join(str(error).split())}", file=sys.stderr)
        return _BAD_INPUT
    except KeyboardInterrupt as stopped:
        print("esamp: interrupted", file=sys.stderr)
        return exit_code(stopped)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0 if arguments else _BAD_INPUT
    if arguments[0] == "--version":
        print(f"esamp {esamp.__version__}")
        return 0
    name = check_choice("command", arguments[0], COMMANDS)
    # Third-party parts often lie beside the study that names them; last, so that they cannot hide a library.
    here = str(Path.cwd())
    if "" not in sys.path and here not in sys.path:
        sys.path.append(here)
    command: Any = importlib.import_module(COMMANDS[name].module)
    return command.run(command.parser().parse(arguments[1:]))


def _help() -> str:
    width = max(map(len, COMMANDS))
    listed = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: esamp COMMAND [options]",
            "",
            "Exploratory Sampling: many different good answers from a language model.",
            "",
            "commands:",
            *listed,
            "",
            "`esamp COMMAND --help` shows a command's options, `esamp --version` the version.",
        ]
    )
