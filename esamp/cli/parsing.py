"""The parser of a command: jsonargparse with short help and errors of one line."""

from __future__ import annotations

import argparse
import difflib
import inspect
import json
import pydoc
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, cast

import jsonargparse
from typing_extensions import override

from esamp.cli.imports import ALLOW_IMPORTS, confined
from esamp.cli.spelling import Spelling, canonical_config

__all__ = ["Parser", "json_mapping"]

_TYPES = {"int": "an integer", "float": "a finite number", "str": "text", "bool": "true or false"}


class Parser:
    """Parses one command's options, from the command line and from YAML.

    Args:
        command: its name.
        spelling: how its arguments are written.
        usage: what follows the command's name in the usage line.
        description: what the command does.
        epilog: examples.
    """

    def __init__(self, command: str, spelling: Spelling, *, usage: str, description: str, epilog: str = "") -> None:
        self.spelling = spelling
        self._parser = jsonargparse.ArgumentParser(
            prog=f"esamp {command}",
            usage=f"esamp {command} {usage}",
            description=description,
            epilog=epilog,
            formatter_class=_HelpFormatter,
            exit_on_error=False,
            allow_abbrev=False,
            print_config="--print_config",
        )

    def add_config(self) -> None:
        """Add `--config FILE`, `--print_config` and `--allow-imports`."""
        # On the parser, not on a group: there jsonargparse leaves --print_config out.
        self._parser.add_argument("--config", action="config", metavar="FILE", help="options from a YAML file")
        self._parser.add_argument(
            ALLOW_IMPORTS, action="store_true", help="the file may name classes that are not of esamp, and import them"
        )

    def group(self, title: str) -> Any:
        """A new group of options under that title, to call `add_argument` or `add_subclass_arguments` on."""
        return self._parser.add_argument_group(title)

    def parse(self, argv: Sequence[str]) -> Any:
        """The options as a namespace, parts instantiated.

        Raises:
            TypeError: a part's argument is of the wrong type.
            ValueError: an option is unknown or its value is wrong, or a configuration file names a class that is not of
                esamp, and has no leave to.
        """
        reads_file = any(word.partition("=")[0] == "--config" for word in argv)
        with confined("config") if reads_file and ALLOW_IMPORTS not in argv else nullcontext():
            return self._parse(self.spelling.canonical(argv))

    def parse_config(self, config: Mapping[str, Any], where: str) -> Any:
        """The same from keys and values, such as a part of a file.

        Args:
            config: options by their keys.
            where: they stand, for the errors.

        Raises:
            TypeError: a part's argument is of the wrong type.
            ValueError: an option is unknown or its value is wrong.
        """
        try:
            return self._parse([f"--config={canonical_config(config, where)}"])
        except (TypeError, ValueError) as error:
            raise type(error)(f"{where}: {error}") from error

    def _parse(self, argv: list[str]) -> Any:
        try:
            parsed = self._parser.parse_args(argv)
        except argparse.ArgumentError as error:
            raise ValueError(self._explain(error.message)) from error
        return self._parser.instantiate(parsed)

    def _explain(self, message: str) -> str:
        """The library's message as one short line that names the option, the value and the way out."""
        keys = ".".join(re.findall(r'[Pp]arser key "([^"]+)"', message)).removeprefix("sampler.")
        if unknown := re.search(r"unrecognized arguments: (.*)", message):
            return self._unknown_option(unknown[1])
        if refused := re.search(r"Option '(.+)' is not accepted", message):
            return self._unknown_key(keys, refused[1], message)
        wanted = re.search(r"Expected a <class '(\w+)'>", message)
        value = re.search(r"(?:Got|Given) value: (.*)", message, re.DOTALL)
        if keys and wanted and value:
            return f"{keys} must be {_TYPES.get(wanted[1], wanted[1])}, got {value[1].strip()!r}"
        if missing := re.search(r"argument (?:-\w/)?(--?[\w.-]+).*: expected one argument", message):
            return f"{missing[1].replace('--sampler.', '--')} needs a value after it"
        return message.replace("--sampler.", "--")

    def _unknown_option(self, words: str) -> str:
        word = words.split()[0].partition("=")[0].replace("--sampler.", "--")
        known = [f"--{key if '.' in key else key.replace('_', '-')}" for key in self._keys()]
        return f"unknown option {word}{_near(word, known)}; `{self._parser.prog} --help` lists them all"

    def _unknown_key(self, keys: str, name: str, message: str) -> str:
        part = re.search(r"class_path '([\w.]+)'", message)
        if part is None:
            return f"config has no option {name!r}{_near(name, self._keys())}; see --print_config"
        known = inspect.signature(cast(type, pydoc.locate(part[1]))).parameters
        return f"{part[1]} has no option {name!r}{_near(name, known)}; see --{keys}.help {part[1].rpartition('.')[2]}"

    def _keys(self) -> list[str]:
        defaults = self._parser.get_defaults().as_dict()
        plain = [key for key in defaults if key not in ("sampler", "trainer")]
        trainer = [f"trainer.{key}" for key in defaults.get("trainer", ())]
        return [*plain, *trainer, *defaults.get("sampler", ())]


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wide enough for our options; the short spellings only."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=min(shutil.get_terminal_size().columns, 110))

    @override
    def add_argument(self, action: argparse.Action) -> None:
        if not action.dest.endswith(".help"):
            super().add_argument(action)

    @override
    def _format_action_invocation(self, action: argparse.Action) -> str:
        shown = super()._format_action_invocation(action).replace("--sampler.", "--")
        shown = shown.replace(" \b[=flags]", "").replace("learn_prompt", "learn-prompt")
        return re.sub(r", --\S+\+ \S+$", "", shown)  # jsonargparse's own way to append to a list


def json_mapping(name: str, text: str) -> dict[str, Any]:
    """The object that an option holds as JSON.

    Raises:
        TypeError: it is something else.
        ValueError: it is no JSON.
    """
    try:
        loaded = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} must be a JSON object, got {text!r}: {error}") from error
    if not isinstance(loaded, dict):
        raise TypeError(f"{name} must be a JSON object, got {text!r}")
    return loaded


def _near(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(found)}?)" if found else ""
