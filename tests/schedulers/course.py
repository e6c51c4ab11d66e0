"""A short life of an explorer, with all that can happen in it, on whatever scheduler it is given."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from unittest.mock import patch

import torch
from torch import Tensor

from esamp.bank import Bank
from esamp.distillers import (
    Distiller,
    EarlyExitDistiller,
    FrozenDistiller,
    HierarchicalDistiller,
    LinearDistiller,
    LowRankDistiller,
    MLPDistiller,
    NoiseDistiller,
    RecursiveLeastSquaresDistiller,
    VocabularyDistiller,
)
from esamp.distillers.choice_memory import ChoiceMemoryDistiller
from esamp.distillers.optimizers import Adafactor
from esamp.explorer import Explorer
from esamp.fusion import fusions
from esamp.llm import FrozenLLM
from esamp.schedulers import CudaStreamScheduler, OverlapScheduler, SynchronousScheduler
from esamp.testing.streams import Program, SimulatedMachine
from esamp.testing.streams.program import Reference
from tests.properties.bank import LANES, SOME, VOCABULARY, Step, grid, head, step

GROUPS, STEPS = 2, 4

SMALL: dict[str, Callable[[], Distiller]] = {
    "choice_memory": lambda: ChoiceMemoryDistiller(distiller=_least_squares()),
    "early_exit": EarlyExitDistiller,
    "frozen": lambda: FrozenDistiller(_low_rank()),
    "hierarchical": lambda: HierarchicalDistiller(MLPDistiller(width=4, lr=1e-2), _low_rank()),
    "linear": LinearDistiller,
    "low_rank": lambda: _low_rank(),
    "mlp": lambda: MLPDistiller(width=4, optimizer=Adafactor(lr=1e-2), storage="bfloat16"),
    "noise": lambda: NoiseDistiller(_low_rank()),
    "recursive_least_squares": lambda: _least_squares(),
    "vocabulary": lambda: VocabularyDistiller(_low_rank()),
}
"""A small one of every registered distiller."""


def _low_rank() -> Distiller:
    return LowRankDistiller(rank=2, lr=1e-2)


def _least_squares() -> Distiller:
    return RecursiveLeastSquaresDistiller(features=4, ridge=0.1)


def explorer(distiller: Distiller, scheduler: OverlapScheduler, fusion: str = "beta_mix") -> Explorer:
    bank = Bank(distiller, fusions.build(fusion), FrozenLLM(head(), final_norm=lambda: torch.tanh), GROUPS, _texts)
    return Explorer(bank, LANES, scheduler, SOME)


def _texts() -> tuple[str, ...]:
    """Some tokens end a sentence, for the fusions that read."""
    return tuple("." if token % 3 == 0 else "a" for token in range(VOCABULARY))


def _taken(number: int) -> Step:
    """Rows move, leave and come back; one is broken."""
    rows = grid(GROUPS)
    taken = step(rows, number)
    if number == 1:
        taken.shallow[1] = torch.nan
        return taken
    if number == 2:
        return replace(taken[torch.tensor([4, 0, 2, 3])], alive=torch.tensor([True, True, False, True]))
    return taken


def attend(mind: Explorer) -> list[Tensor]:
    """Drive an explorer as an engine does; everything it says, and its state in the end."""
    said: list[Tensor] = []
    for number in range(STEPS):
        taken = _taken(number)
        # The tensors of a model: each step's own, and the residual stream is added to in place.
        residual, deep, reference = taken.shallow.clone(), taken.deep.clone(), taken.reference.clone()
        mind.begin(residual, taken.rows)
        residual.add_(deep)
        del residual
        fused = mind.fuse(deep, reference)
        tokens = fused.candidates.ids.gather(-1, fused.log_probs.argmax(dim=-1, keepdim=True)).squeeze(-1)
        if number:
            said.append(mind.losses().clone())  # of the step before: whoever reads it now waits for nothing
        mind.learn(deep, tokens, taken.alive)
        said += [fused.log_probs, fused.kl, fused.error_norm, tokens]
        del fused, deep, reference
        if number == 2:
            mind.recycle(torch.arange(1, GROUPS))
    said += [mind.losses(), mind.resets(), mind.bank.updates.clone()]
    return said + [buffer.clone() for buffer in mind.bank.distiller.buffers()]


@dataclass(frozen=True)
class Recording:
    """A course on a simulated machine.

    Attributes:
        machine: it.
        program: what it recorded.
        results: what the explorer said, as places in memory.
        values: the same, as it came out.
    """

    machine: SimulatedMachine
    program: Program
    results: list[Reference]
    values: list[Tensor]


@functools.cache
def recording(name: str, fusion: str = "beta_mix") -> Recording:
    """The course with a small distiller of that name under `CudaStreamScheduler`."""
    return record(lambda scheduler: attend(explorer(SMALL[name](), scheduler, fusion)))


def in_line(name: str, fusion: str = "beta_mix") -> list[Tensor]:
    """What the same course says under `SynchronousScheduler`."""
    with unread():
        return attend(explorer(SMALL[name](), SynchronousScheduler(), fusion))


def unread() -> AbstractContextManager[object]:
    """While entered, the CPU's tensors stand for a device's, which the host may not read for nothing."""
    return patch("esamp.functional.looking.free_to_look", lambda tensor: False)


def record(run: Callable[[OverlapScheduler], list[Tensor]]) -> Recording:
    """What `run` queues on a simulated machine, and what it returns."""
    machine = SimulatedMachine()
    with unread(), machine:
        values = run(CudaStreamScheduler(backend=machine))
        results = [machine.reference(value) for value in values]
    return Recording(machine, machine.program(), results, values)


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    """Equal to the last bit, NaN for NaN."""
    return len(left) == len(right) and all(
        one.shape == two.shape and torch.equal(_bits(one), _bits(two)) for one, two in zip(left, right, strict=True)
    )


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().view(-1).view(torch.uint8)
