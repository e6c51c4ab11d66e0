"""What an operator says of ESamp when an engine starts: `--additional-config '{"esamp": {...}}'`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from esamp.checks import check_choice, check_flag, check_integer
from esamp.distillers import Distiller, distillers
from esamp.fusion import NoveltyFusion, fusions
from esamp.schedulers import OverlapScheduler, schedulers

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The settings of one engine; plain values, which vLLM carries to its workers and keys its compile cache by.

    Attributes:
        distiller: a name, or a dotted path.
        distiller_arguments: of its constructor.
        fusion: a name, or a dotted path; the fusion of every request that does not choose.
        scheduler: when distillers work.
        warmup: updates of a group's distiller before its fusion starts, where a request does not say.
        prefilter: fuse over the whole vocabulary, then filter.
        max_groups: groups that live at a time; each has a distiller.
        max_lanes: rows of a group in one step.
        idle_steps: a group nobody has used for so many steps of the engine is forgotten.

    Raises:
        TypeError, ValueError: a value is wrong.
    """

    distiller: str = "recursive_least_squares"
    distiller_arguments: Mapping[str, Any] | None = None
    fusion: str = "beta_mix"
    scheduler: str = "synchronous"
    warmup: int = 1
    prefilter: bool = False
    max_groups: int = 16
    max_lanes: int = 64
    idle_steps: int = 4096

    def __post_init__(self) -> None:
        self.build_distiller()
        self.build_fusion()
        self.build_scheduler()
        check_integer("esamp.warmup", self.warmup, low=1)
        check_flag("esamp.prefilter", self.prefilter)
        check_integer("esamp.max_groups", self.max_groups, low=1)
        check_integer("esamp.max_lanes", self.max_lanes, low=1)
        check_integer("esamp.idle_steps", self.idle_steps, low=0)

    @classmethod
    def of(cls, vllm_config: Any) -> Settings:
        """The settings in an engine's `additional_config`; the defaults where it says nothing.

        Raises:
            TypeError, ValueError: a name is unknown, or a value is wrong.
        """
        given = (vllm_config.additional_config or {}).get("esamp") or {}
        if not isinstance(given, Mapping):
            raise TypeError(f"additional_config['esamp'] must be a mapping of settings, got {given!r}")
        for name in given:
            check_choice("a setting in additional_config['esamp']", name, [field.name for field in fields(cls)])
        return cls(**given)

    def plain(self) -> dict[str, Any]:
        """What `of` reads, for `additional_config`."""
        return asdict(self)

    def build_distiller(self) -> Distiller:
        """The recipe of the bank's distiller."""
        return distillers.resolve(self.distiller)(**(self.distiller_arguments or {}))

    def build_fusion(self) -> NoveltyFusion:
        """The recipe of the bank's fusion."""
        return fusions.build(self.fusion)

    def build_scheduler(self) -> OverlapScheduler:
        """When distillers work."""
        return schedulers.build(self.scheduler)

    def describe(self) -> str:
        """One line, for the log."""
        return (
            f"distiller {self.distiller}, fusion {self.fusion}, scheduler {self.scheduler}, "
            f"{'pre-filter' if self.prefilter else 'post-filter'}, warm-up {self.warmup}, "
            f"up to {self.max_groups} groups of {self.max_lanes} rows"
        )
