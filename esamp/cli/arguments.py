"""Options that commands share. Their defaults are those of the sampler."""

from __future__ import annotations

import inspect
from typing import Any

from esamp.candidates import FilterOptions
from esamp.cli.parsing import Parser
from esamp.cli.parts import PARTS
from esamp.presets import PRESETS, preset_parts
from esamp.sampler import ESampSampler
from esamp.schedules import parse_value

__all__ = [
    "add_distiller",
    "add_filters",
    "add_model",
    "add_sampler",
    "filter_options",
    "make_sampler",
    "sampler_parts",
]

_BUILT = {name: parameter.default for name, parameter in inspect.signature(ESampSampler).parameters.items()}
_PARTS = {
    "distiller": "what predicts the last hidden state",
    "fusion": "how the prediction tilts the logits",
    "scheduler": "when the distiller works",
    "draw": "how tokens are drawn",
    "sharing": "which prompts share a distiller",
    "domains": "which prompts are of one domain, for a hierarchical distiller with such a level",
}
_FILTERS = (
    ("typical_p", "P", "only the most typical set of mass P (off)"),
    ("epsilon_cutoff", "E", "only tokens at least E probable (off)"),
    ("eta_cutoff", "E", "the same, with less where the entropy is high (off)"),
    ("top_n_sigma", "N", "only logits at most N standard deviations below the largest (off)"),
    ("filter_temperature", "T", "temperature at which the filters look, whatever that of the draw (the draw's)"),
)
_DRAWN = {name: parameter.default for name, parameter in inspect.signature(ESampSampler.generate).parameters.items()}


def add_sampler(parser: Parser, preset: str | None = None) -> None:
    """The parts, β and what else `ESampSampler` takes, under the key `sampler`.

    Args:
        parser: gets the options.
        preset: whose parts are the defaults; None: those of `ESampSampler`.
    """
    group = parser.group("exploration (each also as --sampler.NAME)")
    built = _BUILT | ({} if preset is None else preset_parts(preset))
    group.add_argument(
        "--preset",
        type=str,
        default=preset,
        metavar="NAME",
        help=f"parts and β at once: {' or '.join(PRESETS)}; what is said beside it comes first ({preset or 'none'})",
    )
    for name, text in _PARTS.items():
        _add_part(group, name, text, built[name])
    group.add_argument(
        "--sampler.beta",
        type=float | str,
        default=built["beta"],
        metavar="B",
        help=f"strength, or its schedule such as linear:0.5:0:64 or only_first:0.25:16; 0: off ({built['beta']})",
    )
    group.add_argument(
        "--sampler.warmup",
        type=int,
        default=_BUILT["warmup"],
        metavar="N",
        help=f"updates of a distiller before it has a say ({_BUILT['warmup']})",
    )
    group.add_argument("--sampler.learn_prompt", action="store_true", help="let it learn from the prompt first")
    group.add_argument(
        "--sampler.compiled",
        action="store_true",
        help="compile the model's forward of one token: a minute at the start, faster steps after it",
    )
    group.add_argument(
        "--sampler.filtering",
        type=str,
        default=_BUILT["filtering"],
        metavar="ORDER",
        help=f"post-filter: filter the model's own logits, then fuse; pre-filter: fuse first ({_BUILT['filtering']})",
    )


def add_distiller(parser: Parser, default: str) -> None:
    """The distiller alone, under the key `sampler.distiller`."""
    _add_part(parser.group("distiller"), "distiller", "what is trained", default)


def add_filters(parser: Parser) -> None:
    """Temperature and the filters."""
    group = parser.group("what may be drawn")
    group.add_argument(
        "--temperature",
        type=float | str,
        default=_DRAWN["temperature"],
        metavar="T",
        help=f"flattens above 1; or its schedule such as linear:1.5:1:32 or fire:30:1:1 ({_DRAWN['temperature']})",
    )
    group.add_argument("--top-k", type=int, default=None, metavar="K", help="only the K most probable tokens (off)")
    group.add_argument("--top-p", type=float, default=None, metavar="P", help="only the smallest set of mass P (off)")
    group.add_argument(
        "--min-p",
        type=float | None,
        default=_DRAWN["min_p"],
        metavar="P",
        help=f"only tokens at least P times as probable as the most probable one; 0: off ({_DRAWN['min_p']})",
    )
    for name, metavar, text in _FILTERS:
        group.add_argument(f"--{name.replace('_', '-')}", type=float | None, default=None, metavar=metavar, help=text)


def filter_options(options: Any) -> FilterOptions:
    """What `add_filters` reads, as keyword arguments of `Filters` and of `generate`.

    Raises:
        ValueError: the temperature is neither a number nor a schedule.
    """
    chosen: Any = {name: getattr(options, name) for name in FilterOptions.__annotations__}
    chosen["temperature"] = parse_value("temperature", options.temperature)
    return chosen


def add_model(parser: Parser, more: str = "") -> None:
    """Which model, in which precision, where; `more` names further models that the command knows."""
    group = parser.group("model")
    group.add_argument(
        "--model",
        type=str,
        default="smollm2-135m",
        help=f"smollm2-135m (the embedded one), {more}a folder in transformers' format, or a hub id",
    )
    group.add_argument("--dtype", type=str, default="auto", help="float32, bfloat16, ... (auto: the checkpoint's own)")
    group.add_argument("--device", type=str, default=None, help="cpu, cuda, cuda:1, ... (a GPU where there is one)")


def make_sampler(options: Any) -> ESampSampler:
    """The sampler that the options of `add_model` and `add_sampler` describe.

    Raises:
        ModuleNotFoundError: the embedded model's package is not installed.
        TypeError: an argument of a part is of the wrong type.
        ValueError: an argument is out of range, or the model cannot be loaded or tapped.
    """
    return ESampSampler.from_pretrained(
        options.model, dtype=options.dtype, device=options.device, **sampler_parts(options)
    )


def sampler_parts(options: Any) -> dict[str, Any]:
    """The keyword arguments of `ESampSampler` that the options of `add_sampler` describe.

    Raises:
        ValueError: β is neither a number nor a schedule.
    """
    return {**vars(options.sampler), "beta": parse_value("beta", options.sampler.beta)}


def _add_part(group: Any, name: str, text: str, default: str | None) -> None:
    registry = PARTS[name]
    cls = None if default is None else registry.resolve(default)
    group.add_subclass_arguments(
        registry.base,
        f"sampler.{name}",
        as_group=False,
        required=False,
        default=None if cls is None else {"class_path": f"{cls.__module__}.{cls.__qualname__}"},
        metavar="NAME",
        help=f"{text}: {', '.join(registry.names())}, or the dotted path of a class ({default or 'off'})",
    )
