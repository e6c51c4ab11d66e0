"""vLLM with ESamp against vLLM as it comes, each in a process of its own, in alternating rounds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from esamp.checks import check_integer
from esamp.studies.speed.pairs import Spread
from esamp.studies.speed.vllm_process import PARTS, EngineProcess, Lap, Workload

__all__ = ["AgainstVLLM", "measure_against_vllm", "profile_rows"]

# Below this share of tokens ESamp was not what was measured: the first token of a sample may come from a prefill that
# a busy engine gave no room, and no others may be missing.
_LEAST = 0.99


@final
@dataclass(frozen=True)
class AgainstVLLM:
    """Times of alternating rounds.

    Attributes:
        plain: runs of vLLM without esamp's plugin.
        tapped: runs of the engine with ESamp whose requests do not ask for it: what it costs only to be on.
        explored: runs with ESamp, whose filter is the only one.
        doubled: runs with ESamp whose filter is given to vLLM, which applies it once more and in vain.
        parts: seconds of each part of a step with ESamp.
    """

    plain: list[Lap]
    tapped: list[Lap]
    explored: list[Lap]
    doubled: list[Lap]
    parts: dict[str, float]

    def loss(self, side: Sequence[Lap], clock: str = "wall") -> Spread:
        """Of each round, the share of plain vLLM's tokens per second that a side lacks."""
        pairs = zip(self.plain, side, strict=True)
        return Spread.of([1 - _speed(mine, clock) / _speed(theirs, clock) for theirs, mine in pairs])

    def summary(self) -> list[str]:
        """A line for each side: speed, and the loss with its quartiles."""
        lines = [f"plain vLLM: {_together(self.plain):.1f} tokens/s"]
        sides = {
            "ESamp on, not asked for": self.tapped,
            "with ESamp": self.explored,
            "with ESamp, and min_p by vLLM's name": self.doubled,
        }
        for name, side in sides.items():
            lines.append(
                f"{name}: {_together(side):.1f} tokens/s, a loss of {self.loss(side):.1%} (median of "
                f"{len(side)} alternating rounds, quartiles), {self.loss(side, 'cpu'):.1%} by processor time"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        sides = {"tapped": self.tapped, "explored": self.explored, "doubled": self.doubled}
        losses = {
            name: {clock: asdict(self.loss(side, clock)) for clock in ("wall", "cpu")} for name, side in sides.items()
        }
        runs = {name: [asdict(lap) for lap in laps] for name, laps in {"plain": self.plain, **sides}.items()}
        return {"runs": runs, "losses": losses, "parts": self.parts}


def measure_against_vllm(
    model: Path, settings: dict[str, Any], workload: Workload, options: dict[str, Any], rounds: int = 5
) -> AgainstVLLM:
    """Start both engines, warm each up, and let them draw in turn; who begins changes from round to round.

    Args:
        model: a folder.
        settings: ESamp's.
        workload: what is drawn.
        options: of `vllm.LLM`, for both.
        rounds: of one run of each side.

    Raises:
        RuntimeError: an engine did not start, or tokens were drawn without ESamp where it was asked for.
        ValueError: `rounds` is below 1.
    """
    check_integer("rounds", rounds, low=1)
    with ExitStack() as stack:
        engines = [EngineProcess(model, given, workload, options) for given in (None, settings)]
        for engine in engines:
            stack.callback(engine.close)
        plain, ours = engines
        sides = {
            "plain": lambda seed: plain.run(seed),
            "tapped": lambda seed: ours.run(seed),
            "explored": lambda seed: ours.run(seed, explore=True, theirs=False),
            "doubled": lambda seed: ours.run(seed, explore=True),
        }
        laps: dict[str, list[Lap]] = {name: [] for name in sides}
        for seed in range(rounds + 1):
            for name in list(sides)[:: 1 if seed % 2 else -1]:
                lap = sides[name](seed)
                if seed:
                    laps[name].append(lap)
        for lap in laps["explored"] + laps["doubled"]:
            if lap.explored < _LEAST * lap.tokens:
                raise RuntimeError(f"ESamp drew {lap.explored} of {lap.tokens} tokens: this measured something else")
        return AgainstVLLM(**laps, parts=ours.profile(rounds + 1))


def profile_rows(result: AgainstVLLM) -> list[str]:
    """The parts of a step, in milliseconds and as shares of it."""
    whole = sum(result.parts.values())
    return [
        f"{1e3 * result.parts[part]:9.3f} ms  {result.parts[part] / whole:6.2%}  {text}" for part, text in PARTS.items()
    ]


def _speed(lap: Lap, clock: str) -> float:
    return lap.tokens / getattr(lap, clock)


def _together(laps: Sequence[Lap]) -> float:
    return sum(lap.tokens for lap in laps) / sum(lap.wall for lap in laps)
