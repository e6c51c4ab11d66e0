"""Which accesses to memory no event orders: a happens-before check by vector clocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from esamp.testing.streams.program import Free, Operation, Program, Record, Wait

__all__ = ["Race", "races"]


@final
@dataclass(frozen=True)
class Race:
    """Two accesses to the same storage, at least one of them a write, without an event between them.

    Attributes:
        storage: number of the storage.
        first: place of the operation that was queued first.
        second: place of the other one.
        text: both, in words.
    """

    storage: int
    first: int
    second: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass
class _Accesses:
    """Of each stream, its last access to a storage: (its clock, place of the operation)."""

    writes: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    reads: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])


def races(program: Program) -> list[Race]:
    """Every pair of conflicting accesses that a legal order may swap (Lamport's relation, by Mattern's vector clocks).

    Of accesses of one stream to one storage only the last counts: the earlier ones are ordered before it. A storage
    that is freed counts as written by the next operation of its stream: some allocation might get its memory. What the
    host happens to wait for orders nothing here, so nothing relies on it.
    """
    clocks = [[0] * program.streams for _ in range(program.streams)]
    events: dict[int, list[int]] = {}
    freed: list[set[int]] = [set() for _ in range(program.streams)]
    accesses: dict[int, _Accesses] = {}
    found: list[Race] = []
    for place, item in enumerate(program.items):
        clock = clocks[item.stream]
        if isinstance(item, Record):
            events[item.event] = list(clock)
        elif isinstance(item, Wait):
            clock[:] = map(max, clock, events.get(item.event, clock))
        elif isinstance(item, Free):
            freed[item.stream].add(item.storage)
        else:
            clock[item.stream] += 1
            writes = item.writes | freed[item.stream]
            freed[item.stream] = set()
            for storage in sorted(item.reads | writes):
                known = accesses.setdefault(storage, _Accesses())
                others = [known.writes, known.reads] if storage in writes else [known.writes]
                for before in others:
                    for stream, (time, first) in before.items():
                        if clock[stream] < time:
                            found.append(Race(storage, first, place, _text(program, storage, first, place)))
                (known.writes if storage in writes else known.reads)[item.stream] = (clock[item.stream], place)
    return found


def _text(program: Program, storage: int, first: int, second: int) -> str:
    return (
        f"{_side(program, storage, first)} and {_side(program, storage, second)} touch storage {storage}, and no event "
        "orders them"
    )


def _side(program: Program, storage: int, place: int) -> str:
    item = program.items[place]
    assert isinstance(item, Operation)
    how = "writes" if storage in item.writes else "reads" if storage in item.reads else "may be given"
    return f"{item.name} on stream {item.stream} (item {place}, {how})"
