"""Does anything grow or drift? Decode steps without end, with requests coming and going.

    python benchmarks/soak.py [--steps 100000 --distiller recursive_least_squares --scheduler synchronous --out docs]

Drives an `Explorer` and its bank as a server would: requests of 1 to 4 samples arrive, take a free slot, live for
some steps on hidden states of their own making, and give the slot back; one request stays from the first step to the
last. At ten marks it counts Python's objects and the memory of the process, and holds what the lasting request has
learnt against ridge regression in float64. Ends with exit code 1 if anything grew, drifted, or was
not given back; with --out it writes a table to OUT/results/soak-DISTILLER.md.
"""

from __future__ import annotations

import argparse
import gc
import math
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from esamp.bank import Bank
from esamp.candidates import Filters
from esamp.checks import check_integer
from esamp.distillers import Distiller, RecursiveLeastSquaresDistiller, distillers
from esamp.draws import GumbelDraw
from esamp.explorer import Explorer
from esamp.fusion import BetaMix
from esamp.head import Head
from esamp.llm import FrozenLLM
from esamp.rows import Rows
from esamp.schedulers import schedulers

WIDTH, VOCABULARY, SLOTS, LANES, MARKS = 16, 64, 8, 4, 10
# Most that may be gained between the first mark and the last, and how far float32 may be from float64.
OBJECTS, MEBIBYTES, DRIFT = 200, 24.0, 2e-2


@final
@dataclass
class Request:
    """Samples of one prompt: the slot they have, how long they stay, and the map that makes their hᴸ from h¹."""

    slot: int
    samples: int
    ends: int
    world: Tensor
    age: int = 0


@final
class Exact:
    """Ridge regression of one slot in float64, from the sums of all that it was taught."""

    def __init__(self, distiller: RecursiveLeastSquaresDistiller, slot: int) -> None:
        self.distiller, self.slot = distiller, slot
        size = 2 * distiller.features + 1
        self.precision = torch.eye(size, dtype=torch.float64) * distiller.ridge
        self.product = torch.zeros(size, WIDTH, dtype=torch.float64)

    def learn(self, shallow: Tensor, deep: Tensor) -> None:
        """Add the rows of one step."""
        phi = self.distiller._phi(shallow.unsqueeze(0)).squeeze(0).double()
        self.precision += phi.T @ phi
        self.product += phi.T @ deep.double()

    def drift(self) -> tuple[float, float, float]:
        """Relative errors of W and of P = U Uᵀ, and P's smallest eigenvalue over that of the exact one."""
        root, learnt = (part[self.slot].double() for part in (self.distiller._root, self.distiller._map))
        covariance, exact = root @ root.T, torch.linalg.inv(self.precision)
        wanted = exact @ self.product
        smallest = torch.linalg.eigvalsh(covariance)[0] / torch.linalg.eigvalsh(exact)[0]
        return (
            float((learnt - wanted).norm() / wanted.norm()),
            float((covariance - exact).norm() / exact.norm()),
            float(smallest),
        )


@final
@dataclass
class Mark:
    """What was found at one mark; drift is NaN for distillers that have no exact solution."""

    step: int
    served: int
    objects: int
    mebibytes: float
    drift: tuple[float, float, float] = (math.nan, math.nan, math.nan)


@final
@dataclass
class Outcome:
    """All marks, and what is left at the end."""

    marks: list[Mark] = field(default_factory=list)
    free: int = 0
    resets: int = 0
    exhausted: int = 0

    def faults(self) -> Iterator[str]:
        """What should not be."""
        first, last = self.marks[0], self.marks[-1]
        if self.free != SLOTS:
            yield f"{SLOTS - self.free} of {SLOTS} slots were not given back"
        if self.resets or self.exhausted:
            yield f"{self.resets} resets and {self.exhausted} slots given up, where every number was sound"
        if last.objects - first.objects > OBJECTS:
            yield f"{last.objects - first.objects} more Python objects at the end than at the first mark"
        if last.mebibytes - first.mebibytes > MEBIBYTES:
            yield f"{last.mebibytes - first.mebibytes:.0f} MiB more at the end than at the first mark"
        for mark in self.marks:
            if max(mark.drift[:2]) > DRIFT or mark.drift[2] <= 0:
                yield f"after {mark.step} steps the regression is {mark.drift} away from float64"


@final
class Soak:
    """A bank under traffic.

    Args:
        distiller: the recipe.
        scheduler: its registry name.
        seed: of the traffic and of all hidden states.
    """

    def __init__(self, distiller: Distiller, scheduler: str = "synchronous", seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.head = Head(self._normal(VOCABULARY, WIDTH))
        self.bank = Bank(distiller, BetaMix(), FrozenLLM(self.head), SLOTS)
        self.explorer = Explorer(self.bank, LANES, schedulers.resolve(scheduler)(), Filters(min_p=0.05))
        self.free = list(range(1, SLOTS))
        self.served = 0
        # It keeps slot 0 to the end.
        self.requests = [Request(0, 2, sys.maxsize, self._normal(WIDTH, WIDTH))]
        inner = self.bank.distiller
        self.exact = Exact(inner, 0) if isinstance(inner, RecursiveLeastSquaresDistiller) else None

    def run(self, steps: int) -> Outcome:
        """So many steps; the requests that are left at the end are ended then."""
        outcome, marks = Outcome(), {steps * (i + 1) // MARKS for i in range(MARKS)}
        for step in range(1, steps + 1):
            self._arrive(step)
            self._step()
            self._leave(step)
            if step in marks:
                outcome.marks.append(self._mark(step))
        outcome.resets, outcome.exhausted = int(self.explorer.resets().sum()), int(self.explorer.exhausted().sum())
        self._leave(sys.maxsize)
        outcome.free = len(self.free)
        return outcome

    def _arrive(self, step: int) -> None:
        while self.free and self.chance.random() < 0.2:
            slot = self.free.pop(self.chance.randrange(len(self.free)))
            self.explorer.recycle(torch.tensor([slot]))
            life = 1 + int(self.chance.expovariate(1 / 60))
            world = self._normal(WIDTH, WIDTH)
            self.requests.append(Request(slot, self.chance.randint(1, LANES), step + life, world))
            self.served += 1

    def _step(self) -> None:
        living = [(request, lane) for request in self.requests for lane in range(request.samples)]
        slot, lane, age = (
            torch.tensor([value(request, lane) for request, lane in living])
            for value in (lambda r, _: r.slot, lambda _, lane: lane, lambda r, _: r.age)
        )
        rows = Rows(slot, lane, lane, age, torch.full((len(living),), 0.5))
        shallow = self._normal(len(living), WIDTH)
        worlds = torch.stack([request.world for request, _ in living])
        deep = torch.einsum("rij,rj->ri", worlds, shallow.tanh()) + 0.1 * self._normal(len(living), WIDTH)
        self.explorer.begin(shallow, rows)
        fused = self.explorer.fuse(deep, self.head.full(deep))
        drawing = GumbelDraw().begin(0, lane, torch.full_like(lane, LANES), slot)
        tokens = fused.draw(drawing, rows, torch.arange(len(living))).tokens
        self.explorer.learn(deep, tokens)
        if self.exact is not None:
            self.exact.learn(shallow[slot == 0], deep[slot == 0])
        for request in self.requests:
            request.age += 1

    def _leave(self, step: int) -> None:
        self.free += [request.slot for request in self.requests if request.ends <= step]
        self.requests = [request for request in self.requests if request.ends > step]

    def _mark(self, step: int) -> Mark:
        self.explorer.losses()  # whatever works beside us is done
        gc.collect()
        mark = Mark(step, self.served, len(gc.get_objects()), _resident())
        if self.exact is not None:
            mark.drift = self.exact.drift()
        return mark

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)


def _resident() -> float:
    """MiB of this process in memory; NaN where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 / 2**20 if statm.exists() else math.nan


def table(outcome: Outcome) -> str:
    """The marks as Markdown."""
    lines = [
        "| steps | requests | Python objects | resident, MiB | error of W | error of P | least eigenvalue |",
        "|---|---|---|---|---|---|---|",
    ]
    for mark in outcome.marks:
        drift = " | ".join("—" if math.isnan(value) else f"{value:.1e}" for value in mark.drift[:2])
        least = "—" if math.isnan(mark.drift[2]) else f"{mark.drift[2]:.4f} of the exact one"
        lines.append(f"| {mark.step} | {mark.served} | {mark.objects} | {mark.mebibytes:.1f} | {drift} | {least} |")
    return "\n".join(lines)


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--distiller", default="recursive_least_squares")
    parser.add_argument("--scheduler", default="synchronous")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    steps = check_integer("steps", options.steps, low=MARKS)
    small = {"recursive_least_squares": {"features": 16}, "low_rank": {"rank": 4}, "mlp": {"width": 8}}
    distiller = distillers.resolve(options.distiller)(**small.get(options.distiller, {}))
    outcome = Soak(distiller, options.scheduler).run(steps)
    print(table(outcome))
    if options.out is not None:
        path = options.out / "results" / f"soak-{options.distiller}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(table(outcome) + "\n")
    faults = list(outcome.faults())
    for fault in faults:
        print(f"soak: {fault}")
    print(f"{steps} steps, {outcome.marks[-1].served} requests, {outcome.free} of {SLOTS} slots free: ", end="")
    print("something is wrong" if faults else "nothing grew, nothing drifted")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
