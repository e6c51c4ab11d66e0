"""What one request asks of ESamp: the `esamp_*` entries of `SamplingParams.extra_args` (`vllm_xargs` over HTTP)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from esamp.candidates import FilterOptions, Filters
from esamp.checks import check_choice, check_integer, check_number
from esamp.engines.vllm.chosen_fusion import OFFERED
from esamp.noise import MAX_SEED
from esamp.strength import MAX_BETA

__all__ = ["ESampRequest", "parse"]

_PREFIX = "esamp_"
_MOST = 2**31 - 1
_LONGEST_KEY = 256
_FILTERS = tuple(name for name in FilterOptions.__annotations__ if name != "temperature")
_KNOWN = (
    "esamp_beta",
    "esamp_fusion",
    "esamp_group",
    "esamp_sample",
    "esamp_seed",
    "esamp_warmup",
    "esamp_record",
    "esamp_salt",
    *(f"esamp_{name}" for name in _FILTERS),
)


@dataclass(frozen=True)
class ESampRequest:
    """The arguments of one request, checked.

    Attributes:
        beta: exploration strength β.
        filters: temperature and filters.
        group: key by which requests share a distiller; None: it has one of its own.
        seed: of the draws; None: one that the engine makes.
        sample: index among the samples of its group; None: by order of arrival.
        warmup: updates of a new group's distiller before its fusion starts; None: the engine's.
        fusion: a name in `OFFERED`; None: the engine's.
        record: the mark under which its tokens are recorded; None: they are not.
    """

    beta: float
    filters: Filters
    group: str | None = None
    seed: int | None = None
    sample: int | None = None
    warmup: int | None = None
    fusion: str | None = None
    record: str | None = None


def parse(params: Any) -> ESampRequest | None:
    """What a request asks for; None where it does not ask for ESamp, which `esamp_beta` does.

    Raises:
        ValueError: an argument is unknown, of the wrong type or out of range, or needs another; the message names it.
    """
    try:
        return _parse(params)
    except TypeError as error:
        # vLLM answers a client with a ValueError, and takes everything else for a fault of its own.
        raise ValueError(str(error)) from error


def _parse(params: Any) -> ESampRequest | None:
    extra: Mapping[str, Any] = params.extra_args or {}
    ours = [name for name in extra if name.startswith(_PREFIX)]
    for name in ours:
        check_choice("an argument of ESamp", name, _KNOWN)
    if "esamp_beta" not in extra:
        if ours:
            raise ValueError(
                f"{ours[0]} needs esamp_beta beside it, which switches ESamp on; add it, or leave both out"
            )
        return None
    hint = "0 is plain sampling, the paper's value is 0.25"
    fusion = extra.get("esamp_fusion")
    group = _text(extra, "esamp_group")
    return ESampRequest(
        beta=check_number("esamp_beta", extra["esamp_beta"], low=0, high=MAX_BETA, hint=hint),
        filters=_filters(params, extra),
        group=group if group is not None else extra.get("esamp_salt"),
        seed=_integer(extra, "esamp_seed", 0, MAX_SEED),
        sample=_integer(extra, "esamp_sample", 0, _MOST),
        warmup=_integer(extra, "esamp_warmup", 1, _MOST),
        fusion=None if fusion is None else check_choice("esamp_fusion", fusion, OFFERED),
        record=_text(extra, "esamp_record"),
    )


def _filters(params: Any, extra: Mapping[str, Any]) -> Filters:
    """ESamp's filters, and vLLM's own where those are not given."""
    given: dict[str, Any] = {name: extra[f"esamp_{name}"] for name in _FILTERS if f"esamp_{name}" in extra}
    if params.min_p and 0 < params.top_p < 1 and not {"min_p", "top_p"} <= given.keys():
        raise ValueError(
            f"min_p and top_p must come as esamp_min_p and esamp_top_p where both are on, got {params.min_p} and "
            f"{params.top_p}: vLLM's own act in another order"
        )
    theirs: dict[str, Any] = {"top_k": params.top_k if params.top_k > 0 else None, "top_p": params.top_p}
    theirs |= {"min_p": params.min_p or None, "temperature": params.temperature}
    try:
        return Filters(**(theirs | given))
    except (TypeError, ValueError) as error:
        # By the name under which the client has sent it.
        named = str(error).partition(" ")[0] in given
        raise type(error)(f"esamp_{error}" if named else str(error)) from error


def _integer(extra: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = extra.get(name)
    return None if value is None else check_integer(name, value, low=low, high=high)


def _text(extra: Mapping[str, Any], name: str) -> str | None:
    value = extra.get(name)
    if value is None:
        return None
    wanted = f"{name} must be a text of 1 to {_LONGEST_KEY} characters, or an integer"
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{wanted}, got {value!r}")
    if not 1 <= len(str(value)) <= _LONGEST_KEY:
        raise ValueError(f"{wanted}, got one of {len(str(value))}; shorten it")
    return str(value)
