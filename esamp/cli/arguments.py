"""Options that commands share."""

from __future__ import annotations

from typing import Any

from esamp.cli.parsing import Parser
from esamp.distillers import Distiller, RecursiveLeastSquaresDistiller
from esamp.fusion import BetaMix, NoveltyFusion
from esamp.sampler import ESampSampler
from esamp.schedulers import OverlapScheduler, SynchronousScheduler

_DISTILLER = "what predicts the last hidden state (default: recursive_least_squares)"

__all__ = ["add_filters", "add_model", "add_sampler", "make_sampler"]


def add_sampler(parser: Parser) -> None:
    """The three parts, β, warm-up and filtering, under the key `sampler`."""
    parts = parser.group("exploration (each also as --sampler.NAME; parts by name, class or dotted path)")
    _add_part(parts, Distiller, "distiller", RecursiveLeastSquaresDistiller, _DISTILLER)
    _add_part(parts, NoveltyFusion, "fusion", BetaMix, "how the prediction tilts the logits (default: beta_mix)")
    _add_part(parts, OverlapScheduler, "scheduler", SynchronousScheduler, "when it runs (default: synchronous)")
    parts.add_argument("--sampler.beta", type=float, default=0.25, metavar="B", help="strength; 0 is plain (0.25)")
    parts.add_argument("--sampler.warmup", type=int, default=1, metavar="N", help="updates before fusion starts (1)")
    parts.add_argument(
        "--sampler.filtering",
        type=str,
        default="post-filter",
        metavar="ORDER",
        help="post-filter: filters see the model's own logits, fusion what survives; pre-filter: the other way round",
    )


def add_filters(parser: Parser) -> None:
    """Temperature, top-k, top-p and min-p."""
    group = parser.group("what may be drawn")
    group.add_argument("--temperature", type=float, default=1.0, metavar="T", help="flattens above 1 (1.0)")
    group.add_argument("--top-k", type=int, default=None, metavar="K", help="only the K most probable tokens (off)")
    group.add_argument("--top-p", type=float, default=None, metavar="P", help="only the smallest set of mass P (off)")
    group.add_argument(
        "--min-p",
        type=float | None,
        default=0.05,
        metavar="P",
        help="only tokens at least P times as probable as the most probable one; 0: off (0.05)",
    )


def add_model(parser: Parser) -> None:
    """Which model, in which precision, where."""
    group = parser.group("model")
    group.add_argument(
        "--model",
        type=str,
        default="smollm2-135m",
        help="smollm2-135m (the embedded one), a folder in transformers' format, or a hub id",
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
        options.model, dtype=options.dtype, device=options.device, **vars(options.sampler)
    )


def _add_part(group: Any, base: type, name: str, default: type, text: str) -> None:
    group.add_subclass_arguments(
        base,
        f"sampler.{name}",
        as_group=False,
        default={"class_path": f"{default.__module__}.{default.__qualname__}"},
        metavar="NAME",
        help=f"{text}; its own options: --{name}.OPTION VALUE, listed by --{name}.help NAME",
    )
