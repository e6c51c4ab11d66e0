"""What one request asks of ESamp: the `esamp_*` entries of `SamplingParams.extra_args` (`vllm_xargs` over HTTP)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from esamp.candidates import FilterOptions, Filters
from esamp.checks import check_choice, check_integer
from esamp.draw import MAX_SEED
from esamp.strength import check_beta

__all__ = ["ESampRequest", "parse"]

_PREFIX = "esamp_"
_MOST = 2**31 - 1
_KNOWN = (
    "esamp_beta",
    "esamp_group",
    "esamp_sample",
    "esamp_seed",
    "esamp_warmup",
    "esamp_record",
    "esamp_salt",
    *(f"esamp_{name}" for name in FilterOptions.__annotations__ if name != "temperature"),
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
        record: the mark under which its tokens are recorded; None: they are not.
    """

    beta: float
    filters: Filters
    group: str | None = None
    seed: int | None = None
    sample: int | None = None
    warmup: int | None = None
    record: str | None = None


def parse(params: Any) -> ESampRequest | None:
    """What a request asks for; None where it does not ask for ESamp, which `esamp_beta` does.

    Raises:
        TypeError, ValueError: an argument is unknown, of the wrong type or out of range, or needs another.
    """
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
    if params.min_p and 0 < params.top_p < 1 and not {"esamp_min_p", "esamp_top_p"} <= extra.keys():
        raise ValueError(
            f"min_p and top_p must come as esamp_min_p and esamp_top_p where both are on, got {params.min_p} and "
            f"{params.top_p}: vLLM's own act in another order"
        )
    # vLLM's own filters where ESamp's are not given.
    filters: dict[str, Any] = {"top_k": params.top_k if params.top_k > 0 else None, "top_p": params.top_p}
    filters |= {"min_p": params.min_p or None, "temperature": params.temperature}
    filters |= {name: extra[f"esamp_{name}"] for name in FilterOptions.__annotations__ if f"esamp_{name}" in extra}
    group = extra.get("esamp_group")
    return ESampRequest(
        beta=check_beta(extra["esamp_beta"]),
        filters=Filters(**filters),
        group=str(group) if group is not None else extra.get("esamp_salt"),
        seed=_integer(extra, "esamp_seed", 0, MAX_SEED),
        sample=_integer(extra, "esamp_sample", 0, _MOST),
        warmup=_integer(extra, "esamp_warmup", 1, _MOST),
        record=extra.get("esamp_record"),
    )


def _integer(extra: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = extra.get(name)
    return None if value is None else check_integer(name, value, low=low, high=high)
