"""Streams without a device: record what is queued on them, check it for races, run it in any order.

The proof of `CudaStreamScheduler`, and of any other code that speaks to streams through `StreamBackend`.

Examples:
    Work that reads what its caller then overwrites: a race, found without a device, and what it does in another order:

    >>> from esamp.testing.streams import *
    >>> import torch
    >>> from esamp.schedulers import CudaStreamScheduler
    >>> with SimulatedMachine() as machine:
    ...     scheduler = CudaStreamScheduler(backend=machine)
    ...     numbers = torch.ones(3)
    ...     pending = scheduler.submit(lambda: numbers * 2)
    ...     _ = numbers.add_(1)
    ...     doubled = scheduler.wait(pending)
    ...     result = machine.reference(doubled)
    ...     first = float(doubled[0])
    >>> program: Program = machine.program()
    >>> found: list[Race] = races(program)
    >>> found[0].first, found[0].second  # places of the two in what was queued
    (3, 4)
    >>> replay = Replay(program, [result])
    >>> replay.run(program.order([2, 99]))
    [tensor([2., 2., 2.])]
    >>> try:
    ...     _ = replay.run(program.order([99]))
    ... except DivergedError as error:
    ...     print(error)
    the host read 4.0 where it had read 2.0
"""

from esamp.testing.streams.machine import SimulatedMachine
from esamp.testing.streams.program import Program
from esamp.testing.streams.races import Race, races
from esamp.testing.streams.replay import DivergedError, Replay

__all__ = ["DivergedError", "Program", "Race", "Replay", "SimulatedMachine", "races"]
