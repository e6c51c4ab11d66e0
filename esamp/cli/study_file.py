"""A study as its users write it: a YAML file, read and checked before any model is loaded."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esamp.candidates import MIN_TEMPERATURE, FilterOptions
from esamp.checks import check_choice, check_flag, check_integer, check_number
from esamp.cli.arguments import add_filters, add_sampler
from esamp.cli.parsing import Parser
from esamp.cli.spelling import PARTS, Spelling, read_yaml
from esamp.schedules import parse_value
from esamp.studies.arm import Arm
from esamp.studies.study import Study

__all__ = ["read_study"]

_KEYS = (
    "model",
    "prompts",
    "prompts_file",
    "chat",
    "n",
    "max_new_tokens",
    "batch_size",
    "seeds",
    "temperatures",
    "common",
    "grid",
    "arms",
)
_OPTIONS = (*FilterOptions.__annotations__, "waves")
_DEFAULT_TEMPERATURES = (0.6, 0.8, 1.0, 1.2, 1.4)


def read_study(path: str) -> Study:
    """The study that a file describes.

    Args:
        path: a YAML file: `prompts` (a list) or `prompts_file`, `n`, `max_new_tokens`, `seeds`, `temperatures` of plain
            sampling, and of the arms `common` settings, a `grid` of lists whose every combination is an arm, and `arms`
            by name.

    Raises:
        TypeError: something in it is of the wrong type.
        ValueError: it cannot be read, or something in it is unknown, missing or out of range.
    """
    read = read_yaml("study", path)
    for key in read:
        check_choice(f"a key of {path!r}", key, _KEYS)
    common = _mapping(read, "common")
    parser = _arm_parser()
    plain = _arm(parser, "plain", {key: common[key] for key in common if key in _OPTIONS})
    temperatures = _list(read, "temperatures", _DEFAULT_TEMPERATURES)
    sweep = [Arm.plain(check_number("temperatures", each, low=MIN_TEMPERATURE), _rest(plain)) for each in temperatures]
    chosen = {**_combinations(_mapping(read, "grid")), **_mapping(read, "arms")}
    arms = [_arm(parser, name, {**common, **_settings(name, own)}) for name, own in chosen.items()]
    size = read.get("batch_size")
    return Study(
        model=str(read.get("model", "smollm2-135m")),
        prompts=_prompts(read, Path(path).parent),
        n=check_integer("n", read.get("n", 16), low=2, hint="diversity is between samples"),
        max_new_tokens=check_integer("max_new_tokens", read.get("max_new_tokens", 64), low=1),
        seeds=[check_integer("seeds", seed, low=0) for seed in _list(read, "seeds", (0, 1, 2))],
        arms=[*sweep, *arms],
        chat=check_flag("chat", read.get("chat", True)),
        batch_size=None if size is None else check_integer("batch_size", size, low=1),
    )


def _arm_parser() -> Parser:
    made = Parser("ablate", Spelling("arms"), usage="", description="")
    made.add_config()
    made.group("arm").add_argument("--waves", type=int, default=1)
    add_filters(made)
    add_sampler(made)
    return made


def _arm(parser: Parser, name: str, settings: dict[str, Any]) -> Arm:
    """An arm, its parts built and everything about it checked that can be checked without a model."""
    parsed = parser.parse_config(settings, f"arm {name!r}")
    parts = dict(vars(parsed.sampler))
    parts["beta"] = parse_value("beta", parts["beta"])
    options = {key: getattr(parsed, key) for key in _OPTIONS}
    options["temperature"] = parse_value("temperature", options["temperature"])
    if parts["beta"] == 0:
        raise ValueError(f"arm {name!r}: beta must be > 0, got 0; plain sampling is there by its temperatures")
    recorded = {key: registry.name_of(parts[key]) for key, registry in PARTS.items() if parts[key] is not None}
    recorded |= {key: getattr(parsed, key) for key in _OPTIONS} | {"beta": parsed.sampler.beta}
    recorded |= {key: _short(value) for key, value in settings.items()}
    return Arm(name, recorded, parts, options)


def _rest(plain: Arm) -> dict[str, Any]:
    return {key: value for key, value in plain.options.items() if key not in ("temperature", "waves")}


def _combinations(grid: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every combination of the grid's values, named by those that differ between them."""
    lists = {key: value if isinstance(value, list) else [value] for key, value in grid.items()}
    if any(not values for values in lists.values()):
        empty = next(key for key, values in lists.items() if not values)
        raise ValueError(f"grid.{empty} must hold at least one value, got none; leave it out")
    found: dict[str, dict[str, Any]] = {}
    for values in itertools.product(*lists.values()) if lists else ():
        settings = dict(zip(lists, values, strict=True))
        name = ", ".join(_said(key, value) for key, value in settings.items() if len(lists[key]) > 1)
        found[name or "ESamp"] = settings
    return found


def _said(key: str, value: Any) -> str:
    """A part speaks for itself, a number or a schedule needs its key."""
    return str(_short(value)) if key in PARTS else f"{key} {value}"


def _short(value: Any) -> Any:
    """A part as one word: `low_rank(rank=32)`; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    arguments: Any = value.get("init_args") or {}
    listed = ", ".join(f"{key}={_short(each)}" for key, each in arguments.items())
    return f"{value.get('class_path')}({listed})" if listed else value.get("class_path")


def _settings(name: str, own: Any) -> dict[str, Any]:
    if not isinstance(own, Mapping):
        raise ValueError(
            f"arm {name!r} must hold its settings as keys, such as {{distiller: mlp, beta: 0.5}}, got {own!r}"
        )
    return {str(key).replace("-", "_"): value for key, value in own.items()}


def _mapping(read: dict[str, Any], key: str) -> dict[str, Any]:
    value = read.get(key) or {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{key} must hold keys and values, got {value!r}")
    return {str(name).replace("-", "_") if key != "arms" else str(name): each for name, each in value.items()}


def _list(read: dict[str, Any], key: str, default: Sequence[Any]) -> list[Any]:
    value = read.get(key, list(default))
    if not isinstance(value, list):
        raise ValueError(f"{key} must be a list, got {value!r}; write [{value}]")
    return value


def _prompts(read: dict[str, Any], folder: Path) -> list[str]:
    """The prompts of the file itself, then those of `prompts_file`: lines of text, or JSON lines with a "prompt"."""
    listed = [str(prompt) for prompt in _list(read, "prompts", ())]
    if "prompts_file" not in read:
        return listed
    path = folder / str(read["prompts_file"])
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        return listed + [json.loads(line)["prompt"] if path.suffix == ".jsonl" else line for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'prompts_file must hold one prompt a line, or with the suffix .jsonl objects with a "prompt", and {path} '
            f"does not: {error}"
        ) from error
