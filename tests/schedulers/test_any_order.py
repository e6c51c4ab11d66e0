"""The proof of `CudaStreamScheduler`: whatever order the device chooses, the tokens are the synchronous scheduler's."""

from __future__ import annotations

import copy
import functools
import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
import torch
from hypothesis import given, settings

from esamp.distillers import distillers
from esamp.fusion import fusions
from esamp.schedulers import CudaStreamScheduler, cuda_stream
from esamp.testing.strategies import bursts
from esamp.testing.streams import DivergedError, Program, Race, Replay, SimulatedMachine, races
from esamp.testing.streams.program import Free, Item, Record, Wait
from tests.properties.bank import grid, run, step
from tests.schedulers.course import SMALL, Recording, attend, explorer, in_line, record, recording, same

_MAIN, _SIDE = 0, 1
_ALL = 10**6
# The caller far ahead, the side far ahead, the side at the first chance, and both by turns.
_EXTREMES = [[_ALL], [0, _ALL], [1, _ALL] * 400, [5, 5] * 400]
_every_distiller = pytest.mark.parametrize("name", SMALL)
# By gradients, by least squares, and with state that the caller's stream reads.
_some_distillers = pytest.mark.parametrize("name", ["low_rank", "recursive_least_squares", "noise"])


@functools.cache
def _replay(name: str) -> Replay:
    return Replay(recording(name).program, recording(name).results)


def test_every_distiller_has_a_small_one() -> None:
    assert sorted(SMALL) == distillers.names()


@_every_distiller
def test_the_machine_computes_what_the_synchronous_scheduler_does(name: str) -> None:
    wanted = in_line(name)
    assert same(recording(name).values, wanted)
    assert same(_replay(name).run(recording(name).program.order([])), wanted)


@_some_distillers
@settings(max_examples=700)
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


@pytest.mark.parametrize("fusion", fusions.names())
def test_fusions_and_what_they_remember_are_ordered_too(fusion: str) -> None:
    taken = recording("low_rank", fusion)
    assert _texts(races(taken.program)) == []
    assert same(taken.values, in_line("low_rank", fusion))
    replay = Replay(taken.program, taken.results)
    assert all(same(replay.run(taken.program.order(order)), taken.values) for order in _EXTREMES[:2])


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
    assert not all(_survives(taken, mutant, order) for order in _EXTREMES)


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


def _stop() -> None:
    raise KeyboardInterrupt


def _go_on() -> None:
    pass


@pytest.mark.parametrize("joins", [True, False])
@pytest.mark.parametrize("end", [_go_on, _stop], ids=["between steps", "in the middle of work"])
def test_a_run_that_is_broken_off_gives_its_memory_away_only_when_the_side_is_done(
    end: Callable[[], None], joins: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not joins:
        monkeypatch.setattr(cuda_stream._Underway, "join", lambda work, stream: None)

    def break_off(machine: SimulatedMachine) -> None:
        scheduler = CudaStreamScheduler(backend=machine)
        numbers = torch.zeros(3) + 1

        def work() -> None:
            numbers.mul_(2)
            end()

        with suppress(KeyboardInterrupt):
            scheduler.submit(work)

    with SimulatedMachine() as machine:
        break_off(machine)
        gc.collect()
        someone_elses = torch.zeros(3) + 1
    assert bool(races(machine.program())) is not joins
    assert someone_elses.tolist() == [1, 1, 1]


def test_waiting_for_what_is_done_queues_nothing_and_leaves_later_work_alone() -> None:
    with SimulatedMachine() as machine:
        scheduler = CudaStreamScheduler(backend=machine)
        first, second = (scheduler.submit(lambda i=i: torch.zeros(3) + i) for i in range(2))
        scheduler.wait(second)
        scheduler.submit(lambda: torch.zeros(3))
        before = len(machine.program().marks)
        assert scheduler.wait(first).tolist() == [0, 0, 0]
        assert scheduler.wait(second).tolist() == [1, 1, 1]
    assert len(machine.program().marks) == before


def test_a_copy_is_set_up_alike_and_has_a_stream_of_its_own() -> None:
    with SimulatedMachine() as machine:
        scheduler = CudaStreamScheduler(priority=-2, backend=machine)
        first = scheduler.submit(lambda: torch.ones(2) + 1)
        twin = copy.copy(scheduler)
        second = twin.submit(lambda: torch.ones(2) + 2)
        assert (twin.wait(second) - scheduler.wait(first)).tolist() == [1.0, 1.0]
    assert twin.priority == -2
    assert {operation.stream for operation in machine.program().items if isinstance(operation, Record)} >= {1, 2}


def test_a_step_can_be_captured_in_a_graph() -> None:
    """A capture may wait for nothing recorded outside of it, and ends with every other stream joined to its own."""
    with SimulatedMachine() as machine:
        mind = explorer(SMALL["low_rank"](), CudaStreamScheduler(backend=machine))
        rows = grid(2)
        taken = step(rows, 0)
        for _ in range(2):
            start = len(machine.program().items)
            run(mind, taken)
            mind.losses()
    captured = machine.program().items[start:]
    recorded = {item.event for item in captured if isinstance(item, Record)}
    assert {item.event for item in captured if isinstance(item, Wait)} == recorded
    ends = [
        item for item in captured if not isinstance(item, Free) and _SIDE in (item.stream, _stream_of(item, captured))
    ]
    assert isinstance(ends[-1], Wait)
    assert ends[-1].stream == _MAIN


def _stream_of(item: Item, items: Sequence[Item]) -> int | None:
    """The stream that a wait waits for."""
    events = {record.event: record.stream for record in items if isinstance(record, Record)}
    return events.get(item.event) if isinstance(item, Wait) else None


def _texts(found: list[Race]) -> list[str]:
    return [str(race) for race in found]
