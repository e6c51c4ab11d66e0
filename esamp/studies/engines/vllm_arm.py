"""An arm of a study as vLLM can have it: parts by name, for its workers build them, and requests of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esamp.sampler import ESampSampler
from esamp.studies.arm import Arm

__all__ = ["engine_settings"]

# What an engine is started with; all else that an arm may say goes with each request.
_DEFAULTS = {
    "distiller": "recursive_least_squares",
    "fusion": "beta_mix",
    "scheduler": "synchronous",
    "warmup": 1,
    "filtering": "post-filter",
}
_ONLY = {"draw": "gumbel", "learn_prompt": False, "compiled": False, "domains": None}


def engine_settings(arm: Arm) -> dict[str, Any]:
    """Arguments of `VLLMSampler` for an arm, as plain values; where they are equal, arms can share an engine.

    Raises:
        ValueError: the arm has something that this engine does not.
    """
    _check_requests(arm)
    settings: dict[str, Any] = dict(_DEFAULTS)
    for name in _DEFAULTS.keys() & arm.parts.keys():
        settings[name], arguments = _named(arm.settings[name])
        if not arguments:
            continue
        if name != "distiller":
            raise _refused(arm, name, "a name without arguments")
        if not all(isinstance(value, bool | int | float | str) for value in arguments.values()):
            raise _refused(arm, name, "a name with plain values for arguments")
        settings["esamp"] = {"distiller_arguments": dict(arguments)}
    return settings


def _check_requests(arm: Arm) -> None:
    """What goes with each request is something that a request can say."""
    if arm.sampler is not ESampSampler:
        raise _refused(arm, "sampler", "esamp")
    for name, only in _ONLY.items():
        if arm.settings.get(name, only) != only:
            raise _refused(arm, name, repr(only))
    if "sharing" in arm.parts and arm.parts["sharing"].per_sample:
        raise _refused(arm, "sharing", "one that keeps the samples of a prompt together")
    for name, value in {**arm.options, "beta": arm.parts.get("beta", arm.options.get("beta"))}.items():
        if callable(value):
            raise _refused(arm, name, "a number")


def _named(written: Any) -> tuple[Any, Mapping[str, Any]]:
    """A part as a study has it: its name, and its arguments."""
    if isinstance(written, Mapping):
        return written["class_path"], written.get("init_args") or {}
    return written, {}


def _refused(arm: Arm, name: str, must: str) -> ValueError:
    return ValueError(
        f"arm {arm.name!r}: {name} must be {must} with engine: vllm, got {arm.settings.get(name)!r}; use engine: "
        "huggingface for it"
    )
