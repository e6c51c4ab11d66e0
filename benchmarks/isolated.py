"""What does ESamp's own work take, away from the model? Each phase of a step, with warm caches and with cold ones.

    OMP_NUM_THREADS=1 python benchmarks/isolated.py [--prompts 1 --n 16 --steps 200]

Default distiller and fusion at the embedded model's sizes, random hidden states, logits of which about six tokens a row
survive min-p 0.05. "Cold" reads and writes 192 MB before the first layer's hook and before the logits, as a model that
streams its weights does. Prints medians, less what plain sampling does in the same place.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from esamp.bank import Bank
from esamp.candidates import Filters
from esamp.distillers import RecursiveLeastSquaresDistiller
from esamp.explorer import Explorer
from esamp.fusion import BetaMix
from esamp.head import Head
from esamp.llm import FrozenLLM
from esamp.policy import DecodePolicy, PlainPolicy
from esamp.rows import Rows
from esamp.schedulers import SynchronousScheduler

WIDTH, VOCABULARY, SPREAD = 576, 49_152, 0.24
KINDS, WARM_UP = 8, 50
PHASES = ("begin", "fuse", "learn")

P = ParamSpec("P")
T = TypeVar("T")


class Course:
    """Steps of one policy after the other, on the same hidden states.

    Args:
        prompts: number of prompts.
        n: samples of each.
        cold: drive everything out of the caches where the model would.
    """

    def __init__(self, prompts: int, n: int, cold: bool) -> None:
        generator = torch.Generator().manual_seed(0)
        head = Head(torch.randn(VOCABULARY, WIDTH, generator=generator) * SPREAD)
        bank = Bank(RecursiveLeastSquaresDistiller(), BetaMix(), FrozenLLM(head), prompts)
        filters = Filters(min_p=0.05)
        self.policies: dict[str, DecodePolicy] = {
            "plain": PlainPolicy(filters, prompts),
            "esamp": Explorer(bank, n, SynchronousScheduler(), filters),
        }
        hidden = torch.randn(KINDS, 2, prompts * n, WIDTH, generator=generator)
        self.inputs = [(shallow, deep, head.full(deep)) for shallow, deep in hidden]
        self.rows = Rows.of_prompts(torch.arange(prompts), torch.full((prompts, n), 0.25))
        self.other = torch.zeros(48 * 2**20) if cold else torch.zeros(1)
        self.seconds: dict[tuple[str, str], list[float]] = {(a, b): [] for a in self.policies for b in PHASES}

    def step(self, number: int) -> None:
        """One step of each policy."""
        shallow, deep, logits = self.inputs[number % KINDS]
        for name, policy in self.policies.items():
            self._leave_the_caches()
            self._time(name, "begin", policy.begin, shallow, self.rows)
            self._leave_the_caches()
            fused = self._time(name, "fuse", policy.fuse, deep, logits)
            self._time(name, "learn", policy.learn, deep, fused.candidates.ids[:, 0])
        self.rows = self.rows.advance()

    def _leave_the_caches(self) -> None:
        self.other.add_(1.0)

    def _time(self, name: str, phase: str, call: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        start = time.perf_counter()
        result = call(*given, **named)
        self.seconds[name, phase].append(time.perf_counter() - start)
        return result

    def milliseconds(self, phase: str) -> float:
        """What ESamp adds in a phase."""
        plain, esamp = (statistics.median(self.seconds[name, phase][WARM_UP:]) for name in ("plain", "esamp"))
        return (esamp - plain) * 1e3


@torch.no_grad()
def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    for cold in (False, True):
        course = Course(options.prompts, options.n, cold)
        for number in range(options.steps + WARM_UP):
            course.step(number)
        added = {phase: course.milliseconds(phase) for phase in PHASES}
        parts = ", ".join(f"{phase} {value:.2f}" for phase, value in added.items())
        print(f"{options.prompts}×{options.n}, {'cold' if cold else 'warm'}: {sum(added.values()):.2f} ms ({parts})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
