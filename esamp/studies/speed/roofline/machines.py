"""Work, and the machines that do it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import torch

from esamp.checks import check_number

__all__ = ["CPU_CORE", "H100", "MACHINES", "RTX_4090", "Machine", "Work", "measure_machine"]


@final
@dataclass(frozen=True)
class Work:
    """Bytes that cross the memory bus and floating-point operations, a multiplication and an addition counting as two.

    Attributes:
        bytes: read and written.
        half: operations on 16-bit factors with 32-bit sums.
        single: operations on 32-bit factors.
    """

    bytes: int | float = 0
    half: int | float = 0
    single: int | float = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.bytes + other.bytes, self.half + other.half, self.single + other.single)

    def __truediv__(self, parts: int) -> Work:
        return Work(self.bytes / parts, self.half / parts, self.single / parts)


@final
@dataclass(frozen=True)
class Machine:
    """How fast memory and arithmetic can be at most.

    Attributes:
        name: of the machine.
        bandwidth: bytes a second of its memory.
        half: operations a second on 16-bit factors with 32-bit sums, dense.
        single: operations a second on 32-bit factors.
        memory: bytes of it.
        source: where the figures are from.

    Raises:
        ValueError: a figure is not positive.
    """

    name: str
    bandwidth: float
    half: float
    single: float
    memory: int | float
    source: str

    def __post_init__(self) -> None:
        for figure in ("bandwidth", "half", "single", "memory"):
            check_number(figure, getattr(self, figure), low=0, low_open=True)

    def seconds(self, work: Work) -> float:
        """The longer one of moving the bytes and doing the arithmetic, which can go on at the same time."""
        return max(work.bytes / self.bandwidth, work.half / self.half + work.single / self.single)


RTX_4090 = Machine(
    "RTX 4090", 1.008e12, 165.2e12, 82.6e12, 24e9, "NVIDIA Ada GPU architecture whitepaper, appendix A (FP16 and FP32)"
)
H100 = Machine("H100 SXM", 3.35e12, 989.4e12, 66.9e12, 80e9, "NVIDIA H100 architecture whitepaper and datasheet, SXM5")
# The arithmetic is float32 in both columns: the embedded model is.
CPU_CORE = Machine(
    "CPU core", 13.5e9, 160e9, 160e9, 16e9, "measured by `esamp bench roofline --here`: one core of a server of 2023"
)

MACHINES = {"rtx-4090": RTX_4090, "h100": H100, "cpu-core": CPU_CORE}
"""By the names that the command line knows."""

_SIDE, _FLOATS, _REPEATS = 1024, 64 << 20, 5


def measure_machine(device: torch.device, name: str = "here") -> Machine:
    """This machine as PyTorch finds it: square products and the sum of a large tensor, the best of five each."""

    def rate(work: Callable[[], object], amount: int | float) -> float:
        best = float("inf")
        for _ in range(_REPEATS):
            _wait(device)
            start = time.perf_counter()
            work()
            _wait(device)
            best = min(best, time.perf_counter() - start)
        return amount / best

    large = torch.ones(_FLOATS, device=device)
    bandwidth = rate(large.sum, large.nbytes)
    operations = 2 * _SIDE**3
    squares = (torch.ones(_SIDE, _SIDE, device=device, dtype=kind) for kind in (torch.float32, torch.bfloat16))
    single, half = (rate(partial(torch.mm, square, square), operations) for square in squares)
    memory = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else _FLOATS * 4
    return Machine(name, bandwidth, half, single, memory, "measured")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":  # pragma: no cover (needs a GPU)
        torch.cuda.synchronize(device)
