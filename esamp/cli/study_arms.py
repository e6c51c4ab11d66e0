"""The arms of a study as its users write them: a sweep of temperatures, a grid, and arms by name."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from esamp.baselines import Sampler, samplers
from esamp.candidates import MIN_TEMPERATURE, FilterOptions, Filters
from esamp.checks import check_choice, check_flag, check_number
from esamp.cli.arguments import add_filters, add_sampler
from esamp.cli.parsing import Parser
from esamp.cli.parts import PARTS
from esamp.cli.spelling import SAMPLER_KEYS, Spelling
from esamp.sampler import ESampSampler
from esamp.schedules import parse_value
from esamp.studies.arm import GIVEN, Arm

__all__ = ["read_arms"]

_FILTERS = tuple(FilterOptions.__annotations__)
_OPTIONS = (*_FILTERS, "waves")


def read_arms(
    temperatures: Sequence[Any], common: Mapping[str, Any], grid: Mapping[str, Any], arms: Mapping[str, Any]
) -> list[Arm]:
    """The arms, their parts built and everything about them checked that can be checked without a model.

    Args:
        temperatures: of the sweep of plain sampling.
        common: settings of every arm; of the sweep, those that say what may be drawn.
        grid: lists of values, whose every combination is an arm.
        arms: settings by name.

    Raises:
        TypeError: a setting is of the wrong type.
        ValueError: a setting is unknown or out of range.
    """
    parser = _parser()
    swept = {key: value for key, value in common.items() if key in _FILTERS}
    sweep = [
        _plain(parser, None, {**swept, "temperature": check_number("temperatures", each, low=MIN_TEMPERATURE)})
        for each in temperatures
    ]
    chosen = {**_combinations(grid), **arms}
    return [*sweep, *(_arm(parser, name, _settings(name, own), common) for name, own in chosen.items())]


def _arm(parser: Parser, name: str, own: dict[str, Any], common: Mapping[str, Any]) -> Arm:
    if check_flag(f"arm {name!r}: plain", own.get("plain", False)):
        return _plain(parser, name, {key: value for key, value in own.items() if key != "plain"})
    settings = {key: value for key, value in {**common, **own}.items() if key != "plain"}
    if isinstance(settings.get("sampler"), str) and samplers.resolve(settings["sampler"]) is not ESampSampler:
        return _other(name, settings, own)
    return _esamp(parser, name, {key: value for key, value in settings.items() if value != "esamp"})


def _esamp(parser: Parser, name: str, settings: dict[str, Any]) -> Arm:
    # Options of `generate` that have no parser of their own go to it as they are.
    known = set(_OPTIONS) | set(SAMPLER_KEYS) | {"sampler"}
    passed = {key: settings[key] for key in _generates(ESampSampler) if key in settings and key not in known}
    parsed = parser.parse_config({key: value for key, value in settings.items() if key not in passed}, f"arm {name!r}")
    parts = dict(vars(parsed.sampler))
    parts["beta"] = parse_value("beta", parts["beta"])
    options = _options(parsed) | passed
    recorded: dict[str, Any] = {
        key: registry.name_of(parts[key]) for key, registry in PARTS.items() if parts[key] is not None
    }
    recorded |= {key: getattr(parsed.sampler, key) for key in SAMPLER_KEYS if key not in PARTS}
    recorded |= {key: getattr(parsed, key) for key in _OPTIONS} | settings
    return Arm(name, recorded, parts=parts, options=options)


def _plain(parser: Parser, name: str | None, settings: dict[str, Any]) -> Arm:
    """A point of the sweep, named by its temperature unless it has a name."""
    for key in settings:
        check_choice(f"a key of the plain arm {name!r}", key, _FILTERS)
    options = _options(parser.parse_config(settings, f"arm {name!r}" if name else "common"))
    del options["waves"]
    made = Arm.sweep(check_number("temperature", options.pop("temperature"), low=MIN_TEMPERATURE), options)
    return made if name is None else Arm(name, made.settings, options=made.options, plain=True)


def _options(parsed: Any) -> dict[str, Any]:
    options = {key: getattr(parsed, key) for key in _OPTIONS}
    options["temperature"] = parse_value("temperature", options["temperature"])
    Filters(**{key: options[key] for key in _FILTERS})  # says what is out of range
    return options


def _other(name: str, settings: dict[str, Any], own: Mapping[str, Any]) -> Arm:
    """An arm of another sampler: its settings go to the constructor or to `generate`, whichever has them."""
    cls = samplers.resolve(settings["sampler"])
    built = [key for key in inspect.signature(cls).parameters if key not in ("model", "tokenizer")]
    drawn = _generates(cls)
    # What all arms have in common may be about a distiller, which this one does not have.
    kept = {key: value for key, value in settings.items() if key in own or key in built or key in drawn}
    for key in kept:
        if key != "sampler":
            check_choice(f"arm {name!r}: a setting of {settings['sampler']}", key, [*built, *drawn])
    values = {
        key: parse_value(key, value) if key in ("beta", "temperature") else value
        for key, value in kept.items()
        if key != "sampler"
    }
    parts = {key: value for key, value in values.items() if key in built}
    options = {key: value for key, value in values.items() if key not in built}
    return Arm(name, kept, cls, parts, options)


def _generates(cls: type[Sampler]) -> list[str]:
    """What an arm may set of the arguments of a sampler's `generate`."""
    parameters = inspect.signature(cls.generate).parameters.values()
    named = [p.name for p in parameters if p.name not in (*GIVEN, "self") and p.kind is not p.VAR_KEYWORD]
    takes_filters = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return named + [key for key in _FILTERS if takes_filters and key not in named]


def _parser() -> Parser:
    made = Parser("eval", Spelling("arms"), usage="", description="")
    made.add_config()
    made.group("arm").add_argument("--waves", type=int, default=1)
    add_filters(made)
    add_sampler(made)
    return made


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
    return str(_short(value)) if key in (*PARTS, "sampler") else f"{key} {value}"


def _short(value: Any) -> Any:
    """A part as one word: `low_rank(rank=32)`; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    arguments: Any = value.get("init_args") or {}
    if not isinstance(arguments, Mapping):
        return str(value)  # the parser will refuse it
    listed = ", ".join(f"{key}={_short(each)}" for key, each in arguments.items())
    return f"{value.get('class_path')}({listed})" if listed else value.get("class_path")


def _settings(name: str, own: Any) -> dict[str, Any]:
    if not isinstance(own, Mapping):
        raise ValueError(
            f"arm {name!r} must hold its settings as keys, such as {{distiller: mlp, beta: 0.5}}, got {own!r}"
        )
    return {str(key).replace("-", "_"): value for key, value in own.items()}
