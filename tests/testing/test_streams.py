"""The simulated device finds what it is for: each kind of race, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from esamp.testing.streams import DivergedError, Program, Replay, SimulatedMachine, races
from esamp.testing.streams.machine import SimulatedStream


def _texts(program: Program) -> list[str]:
    return [race.text for race in races(program)]


def _two_streams(first: Callable[[torch.Tensor], object], second: Callable[[torch.Tensor], object], *, event: bool):
    """`first` on the side and then `second` on the main stream, of the same tensor."""
    with SimulatedMachine() as machine:
        side = machine.Stream()
        shared = torch.zeros(3) + 1
        side.wait_event(machine.current_stream().record_event())
        kept = []
        with machine.stream(side):
            kept.append(first(shared))
        if event:
            machine.current_stream().wait_event(side.record_event())
        kept.append(second(shared))
    return machine.program()


_write, _read = (lambda shared: shared.mul_(2)), (lambda shared: shared * 2)


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        (_write, _read, True),
        (_read, _write, True),
        (_write, _write, True),
        (_read, _read, False),
        (_write, lambda shared: shared.view(3, 1), False),
        (lambda shared: shared[1:].zero_(), lambda shared: shared.unsqueeze(0) + 1, True),
    ],
    ids=["write, read", "read, write", "write, write", "read, read", "write, view", "write and read through views"],
)
def test_two_accesses_of_which_one_writes_need_an_event(first, second, conflict: bool) -> None:
    assert bool(_texts(_two_streams(first, second, event=False))) is conflict
    assert _texts(_two_streams(first, second, event=True)) == []


def test_a_race_is_told_in_words() -> None:
    (text,) = _texts(_two_streams(_write, _read, event=False))
    assert "aten.mul_.Tensor on stream 1" in text
    assert "writes) and aten.mul.Tensor on stream 0" in text
    assert text.endswith("and no event orders them")


def test_events_order_through_a_third_stream() -> None:
    with SimulatedMachine() as machine:
        one, two = machine.Stream(), machine.Stream()
        with machine.stream(one):
            shared = torch.zeros(3) + 1
        two.wait_event(one.record_event())
        machine.current_stream().wait_event(two.record_event())
        kept = shared + 1
    assert _texts(machine.program()) == []
    assert kept.tolist() == [2, 2, 2]


def test_an_event_orders_what_was_queued_before_it_alone() -> None:
    with SimulatedMachine() as machine:
        side = machine.Stream()
        early = side.record_event()
        with machine.stream(side):
            shared = torch.zeros(3) + 1
        machine.current_stream().wait_event(early)
        kept = shared + 1
    assert len(_texts(machine.program())) == 1
    assert kept.tolist() == [2, 2, 2]


@pytest.mark.parametrize("kept", [True, False])
def test_memory_that_is_let_go_while_another_stream_uses_it_is_a_race(kept: bool) -> None:
    with SimulatedMachine() as machine:
        side = machine.Stream()
        shared = torch.zeros(3) + 1
        side.wait_event(machine.current_stream().record_event())
        with machine.stream(side):
            result = shared * 2
        holder = [shared] if kept else []
        del shared
        other = torch.zeros(3) + 5
        references = [machine.reference(result)]
    program = machine.program()
    assert bool(_texts(program)) is not kept
    assert other.tolist() == [5, 5, 5]
    assert len(holder) == kept
    # An order in which the memory has its new owner's values when the side comes to read it.
    (got,) = Replay(program, references).run(program.order([]))
    assert bool((got == 2).all()) is kept


def test_orders_hold_to_the_events_and_keep_every_operation() -> None:
    program = _two_streams(_write, _read, event=True)
    names = [[item.name for item in program.order(bursts)] for bursts in ([], [0, 9], [1, 1, 1, 1], [9, 9])]
    assert all(order == names[0] for order in names)
    racy = _two_streams(_write, _read, event=False)
    assert racy.order([]) != racy.order([3, 9])
    assert sorted(map(id, racy.order([]))) == sorted(map(id, racy.order([3, 9])))


def test_a_host_that_reads_something_else_is_told_so() -> None:
    with SimulatedMachine() as machine:
        side = machine.Stream()
        number = torch.zeros(()) + 3
        with machine.stream(side):
            number.mul_(2)
        assert float(number) == 6
    program = machine.program()
    assert machine.host_reads == [(0, "aten._local_scalar_dense.default")]
    Replay(program, []).run(program.order([2, 9]))
    with pytest.raises(DivergedError, match=r"the host read 3\.0 where it had read 6\.0"):
        Replay(program, []).run(program.order([]))


def test_memory_that_nobody_wrote_is_poison() -> None:
    with SimulatedMachine() as machine:
        side = machine.Stream()
        with machine.stream(side):
            late = torch.zeros(3) + 1
        result = late + 1
        references = [machine.reference(result)]
    program = machine.program()
    (got,) = Replay(program, references).run(program.order([]))
    assert got.isnan().all()
    assert result.tolist() == [2, 2, 2]


def test_values_from_outside_are_part_of_the_program() -> None:
    before = torch.arange(3)
    with SimulatedMachine() as machine:
        noise = torch.rand(3, generator=torch.Generator().manual_seed(0))
        results = [before + torch.tensor([1, 2, 3]), noise * 2]
        references = [machine.reference(result) for result in results]
        before.zero_()
    program = machine.program()
    for got, wanted in zip(Replay(program, references).run(program.order([])), results, strict=True):
        assert torch.equal(got, wanted)


def test_draws_in_place_are_refused() -> None:
    values = torch.zeros(3)
    with SimulatedMachine(), pytest.raises(NotImplementedError, match="draws in place"):
        values.normal_()


def test_streams_have_priorities() -> None:
    machine = SimulatedMachine()
    assert machine.Stream(priority=-1).priority == -1
    assert isinstance(machine.current_stream(), SimulatedStream)
