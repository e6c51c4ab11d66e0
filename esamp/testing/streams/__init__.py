"""Streams without a device: record what is queued on them, check it for races, run it in any order.

The proof of `CudaStreamScheduler`, and of any other code that speaks to streams through `StreamBackend`.
"""

from esamp.testing.streams.machine import SimulatedMachine
from esamp.testing.streams.program import Program
from esamp.testing.streams.races import Race, races
from esamp.testing.streams.replay import DivergedError, Replay

__all__ = ["DivergedError", "Program", "Race", "Replay", "SimulatedMachine", "races"]
