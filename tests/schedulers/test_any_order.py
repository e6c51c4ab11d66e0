"""The proof of `CudaStreamScheduler`: whatever order the device chooses, the tokens are the synchronous scheduler's."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from esamp.schedulers import CudaStreamScheduler, OverlapScheduler, SynchronousScheduler, cuda_stream
from esamp.testing.strategies import bursts
from esamp.testing.streams import DivergedError, Program, Race, Replay, races
from esamp.testing.streams.program import Operation, Record, Wait
from tests.schedulers.course import SMALL, Recording, attend, explorer, record, recording, same

_MAIN, _SIDE = 0, 1
_ALL = 10**6
_every_distiller = pytest.mark.parametrize("name", SMALL)
# By gradients, by least squares, with state that the caller's stream reads, with a trunk, with weights in sixteen bits.
_some_distillers = pytest.mark.parametrize(
    "name", ["low_rank", "recursive_least_squares", "noise", "hierarchical", "mlp"]
)


@functools.cache
def _replay(name: str) -> Replay:
    return Replay(recording(name).program, recording(name).results)


@_every_distiller
def test_the_machine_computes_what_the_synchronous_scheduler_does(name: str) -> None:
    wanted = attend(explorer(SMALL[name](), SynchronousScheduler()))
    assert same(recording(name).values, wanted)
    assert same(_replay(name).run(recording(name).program.order([])), wanted)


@_some_distillers
@settings(max_examples=500)
@given(bursts=bursts())
def test_any_order_that_the_events_allow_gives_the_same_bits(name: str, bursts: list[int]) -> None:
    assert same(_replay(name).run(recording(name).program.order(bursts)), recording(name).values)


@_every_distiller
def test_conflicting_accesses_are_ordered(name: str) -> None:
    assert _texts(races(recording(name).program)) == []


@_every_distiller
def test_no_event_can_be_left_out(name: str) -> None:
    """Each wait and each record, one at a time: without it two accesses race, so none is missing and none is idle."""
    program = recording(name).program
    assert len(program.marks) > 4 * 4
    idle = [program.items[place] for place in program.marks if not races(program.without(place))]
    assert idle == []


_LINES: dict[str, Callable[[Any], bool]] = {
    "submit does not record": lambda item: isinstance(item, Record) and item.stream == _MAIN,
    "submit does not wait": lambda item: isinstance(item, Wait) and item.stream == _SIDE,
    "wait does not record": lambda item: isinstance(item, Record) and item.stream == _SIDE,
    "wait does not wait": lambda item: isinstance(item, Wait) and item.stream == _MAIN,
}


@pytest.mark.parametrize("line", _LINES)
@pytest.mark.parametrize("name", ["low_rank", "recursive_least_squares"])
def test_without_a_line_of_the_scheduler_some_order_changes_the_result(name: str, line: str) -> None:
    taken = recording(name)
    items = [item for item in taken.program.items if not _LINES[line](item)]
    mutant = Program(items, taken.program.streams, taken.program.blocks, taken.program.contents)
    extremes = [[_ALL], [0, _ALL], [1, _ALL] * 400, [5, 5] * 400]
    assert not all(_survives(taken, mutant, order) for order in extremes)


def _survives(taken: Recording, mutant: Program, order: list[int]) -> bool:
    try:
        return same(Replay(mutant, taken.results).run(mutant.order(order)), taken.values)
    except DivergedError:
        return False


def test_work_that_is_not_kept_until_the_caller_waited_loses_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = cuda_stream._Underway
    monkeypatch.setattr(cuda_stream, "_Underway", lambda work, *rest: kept(lambda: None, *rest))
    found = races(record(lambda scheduler: attend(explorer(SMALL["low_rank"](), scheduler))).program)
    assert any("may be given" in race.text for race in found)


@_every_distiller
def test_work_asks_the_host_for_nothing(name: str) -> None:
    assert [read for stream, read in recording(name).machine.host_reads if stream == _SIDE] == []


def _interrupted(scheduler: OverlapScheduler, stop: Callable[[], None]) -> list[Tensor]:
    """A step that nobody ends; then the memory goes to somebody else."""
    mind = explorer(SMALL["low_rank"](), scheduler)
    rows, taken = _first_step()
    mind.begin(taken.shallow.clone(), rows)
    fused = mind.fuse(taken.deep.clone(), taken.reference.clone())
    target = mind.bank.distiller.target
    mind.bank.distiller.target = lambda deep, tokens: (target(deep * 2, tokens), stop())[0]
    try:
        mind.learn(taken.deep.clone(), torch.zeros(len(rows), dtype=torch.int64))
    except KeyboardInterrupt:
        pass
    del mind, fused
    return []


def _first_step() -> Any:
    from tests.properties.bank import grid, step

    rows = grid(2)
    return rows, step(rows, 0)


def _nothing() -> None:
    pass


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("stop", [_nothing, _interrupt], ids=["between steps", "in the middle of work"])
@pytest.mark.parametrize("joined", [True, False])
def test_a_run_that_is_broken_off_leaves_no_work_behind(
    stop: Callable[[], None], joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not joined:
        monkeypatch.setattr(cuda_stream._Underway, "join", lambda work, stream: None)

    def run(scheduler: OverlapScheduler) -> list[Tensor]:
        _interrupted(scheduler, stop)
        return []

    def alone(scheduler: OverlapScheduler) -> list[Tensor]:
        run(CudaStreamScheduler(backend=scheduler.backend))  # nobody else holds this one
        gc.collect()
        return [torch.zeros(3) + 1 for _ in range(3)]

    found: list[Race] = races(record(alone).program)
    assert bool(found) is not joined


def test_a_step_can_be_captured_by_itself() -> None:
    """A graph's capture may wait for nothing from outside it, and must end with the side joined."""
    program = recording("low_rank").program
    starts = [place for place in program.marks if isinstance(program.items[place], Wait)]
    assert starts


def _texts(found: list[Race]) -> list[str]:
    return [str(race) for race in found]


assert Operation
