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
    beta: float
    filters: Filters
    group: str | None = None
    seed: int | None = None
    sample: int | None = None
    warmup: int | None = None
    record: str | None = None


def parse(params: Any) -> ESampRequest | None:
    extra: Mapping[str, Any] = params.extra_args or {}
    ours = [name for name in extra if name.startswith(_PREFIX)]
    for name in ours:
        check_choice("an argument of ESamp", name, _KNOWN)
    if "esamp_beta" not in extra:
        return None
    # vLLM's own filters where ESamp's are not given.
    filters: dict[str, Any] = {"top_k": params.top_k if params.top_k > 0 else None, "top_p": params.top_p}
    filters |= {"min_p": params.min_p or None, "temperature": params.temperature}
    filters |= {name: extra[f"esamp_{name}"] for name in FilterOptions.__annotations__ if f"esamp_{name}" in extra}
    group = extra.get("esamp_group")
    return ESampRequest(
        beta=check_beta(extra["esamp_beta"]),
        filters=Filters(**filters),
        group=str(group) if group is not None else extra.get("esamp_salt"),
        seed=None
        if extra.get("esamp_seed") is None
        else check_integer("esamp_seed", extra["esamp_seed"], low=0, high=MAX_SEED),
        sample=extra.get("esamp_sample"),
        warmup=extra.get("esamp_warmup"),
        record=extra.get("esamp_record"),
    )
