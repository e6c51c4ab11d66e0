"""What users may write, turned into the one spelling that the parser knows.

Options may stand anywhere among the prompts, `--distiller mlp` is short for
`--sampler.distiller esamp.distillers.mlp.MLPDistiller`, the same goes for the keys of a configuration file, and what
stands on the command line wins over the file, and either over a preset.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from esamp.cli.imports import ALLOW_IMPORTS, check_imports
from esamp.cli.parts import PARTS
from esamp.presets import preset_parts

__all__ = ["SAMPLER_KEYS", "Spelling", "canonical_config", "read_yaml"]

SAMPLER_KEYS = (*PARTS, "beta", "warmup", "filtering", "learn_prompt", "compiled")
"""Keys of the group `sampler` that may be written without its name."""

_ALWAYS_FLAGS = ("-h", "--help", "--print_config", "--sampler.learn_prompt", "--sampler.compiled", ALLOW_IMPORTS)


@dataclass(frozen=True)
class Spelling:
    """How one command's arguments are written.

    Attributes:
        positional: the list that arguments without an option belong to; empty: there are no such arguments.
        flags: options that take no value.
        lists: options that may be repeated, each time with one value.
    """

    positional: str = ""
    flags: Collection[str] = ()
    lists: Collection[str] = ()

    def canonical(self, argv: Sequence[str]) -> list[str]:
        """The same arguments as the parser wants them: `--option=value`, configuration files first.

        Raises:
            ValueError: a part's name is unknown, a configuration file cannot be read or names a class that is not of
                esamp without leave, or an argument has no option.
        """
        configs: list[str] = []
        options: list[str] = []
        lists: dict[str, list[str]] = {}
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            if word == "--":
                lists.setdefault(self._positional(word), []).extend(rest)
                break
            if not word.startswith("-") or word == "-":
                lists.setdefault(self._positional(word), []).append(word)
                continue
            name, equals, value = word.partition("=")
            name = _option(name)
            if name == f"--{self.positional}" and not equals:
                continue  # its values follow as words of their own
            if not equals:
                if name in self.flags or name in _ALWAYS_FLAGS or not rest:
                    options.append(name)
                    continue
                value = rest.pop(0)
            if name.endswith(".help"):
                return [f"{name}={_value(name, value)}"]
            if name == "--config":
                configs.append(f"--config={_read_config(value, confined=ALLOW_IMPORTS not in argv)}")
            elif name in self.lists or name == f"--{self.positional}":
                lists.setdefault(name, []).append(value)
            else:
                options.append(f"{name}={_value(name, value)}")
        return [
            *_preset(options),
            *configs,
            *options,
            *(f"{name}={json.dumps(values)}" for name, values in lists.items()),
        ]

    def _positional(self, word: str) -> str:
        """The option of the list that an argument without one belongs to."""
        if not self.positional:
            raise ValueError(f"argument {word!r} belongs to no option; --help lists them all")
        return f"--{self.positional}"


def _preset(options: Sequence[str]) -> list[str]:
    """The options that `--preset=NAME` stands for."""
    chosen = [option.removeprefix("--preset=") for option in options if option.startswith("--preset=")]
    parts = preset_parts(chosen[-1]) if chosen else {}
    return [f"--sampler.{key}={_value(f'--sampler.{key}', str(value))}" for key, value in parts.items()]


def _read_config(path: str, *, confined: bool) -> str:
    config = read_yaml("config", path)
    if confined:
        check_imports(config, repr(path))
    return canonical_config(config, repr(path))


def _option(name: str) -> str:
    """`--distiller.width` -> `--sampler.distiller.width`, `--top_k` -> `--top-k`."""
    if not name.startswith("--"):
        return name
    first, dot, tail = name[2:].partition(".")
    if first.replace("-", "_") in SAMPLER_KEYS:
        return f"--sampler.{first.replace('-', '_')}{dot}{tail}"
    if first in ("print-config", "print_config"):
        return "--print_config"
    return f"--{first if dot else first.replace('_', '-')}{dot}{tail}"


def _value(name: str, value: str) -> str:
    """The value of an option, with the registry name of a part replaced by its class."""
    key = name.removeprefix("--sampler.").removesuffix(".help")
    if key not in PARTS:
        return value
    loaded: Any = jsonargparse.get_loader("yaml")(value) if value.startswith("{") else value
    part = _part(key, loaded)
    return part if isinstance(part, str) else json.dumps(part)


def _part(key: str, value: Any) -> Any:
    """A part's name, or its {class_path, init_args}, with the name replaced by the path of the class."""
    if isinstance(value, str):
        cls = PARTS[key].resolve(value)
        return f"{cls.__module__}.{cls.__qualname__}"
    if isinstance(value, Mapping) and isinstance(value.get("class_path"), str):
        return {**value, "class_path": _part(key, value["class_path"])}
    return value


def read_yaml(name: str, path: str) -> dict[str, Any]:
    """A YAML file of options, underscores in its keys.

    Args:
        name: of the option that the file was given with, for the errors.
        path: of the file.

    Raises:
        ValueError: it cannot be read, is no YAML, or holds something else than keys and values.
    """
    wanted = f"{name} must be a YAML file with the options as keys"
    try:
        loaded: Any = jsonargparse.get_loader("yaml")(Path(path).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{wanted}, and {path!r} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{wanted}, and {path!r} is no YAML: {error}") from error
    if not isinstance(loaded, Mapping | None):
        raise ValueError(f"{wanted}, and {path!r} holds a {type(loaded).__name__}; see --print_config")
    return {str(key).replace("-", "_"): value for key, value in (loaded or {}).items()}


def canonical_config(config: Mapping[str, Any], where: str) -> str:
    """Options by their short keys as JSON in the parser's spelling.

    Args:
        config: the options.
        where: they stand, for the errors.

    Raises:
        ValueError: a part's name is unknown, or an option stands there twice.
    """
    config = dict(config)
    preset = preset_parts(config["preset"]) if config.get("preset") is not None else {}
    sampler = config.pop("sampler", None) or {}
    if not isinstance(sampler, Mapping):
        raise ValueError(f"sampler in {where} must hold its options as keys, got {sampler!r}; see --print_config")
    short = {key: config.pop(key) for key in SAMPLER_KEYS if key in config}
    twice = sorted(set(short) & set(sampler))
    if twice:
        raise ValueError(f"{twice[0]} stands twice in {where}, alone and under sampler; keep one of them")
    parts = {
        key: _part(key, value) if key in PARTS else value for key, value in (preset | {**sampler, **short}).items()
    }
    return json.dumps({**config, "sampler": parts} if parts else config)
