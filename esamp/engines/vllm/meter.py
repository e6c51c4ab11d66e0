"""Sums of what steps have done, for the metrics, without making anybody wait for a device."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import override

from esamp.engines.vllm.step import Step

__all__ = ["SUMS", "DeviceMail", "HostMail", "Mail", "Meter"]

SUMS: tuple[str, ...] = ("mixed", "warming_up", "not_finite", "prompt_chunk", "kl_nats", "updates", "loss")
"""What a meter sums over steps; resets are a total that the bank keeps."""

_STEPS = 32
_SECONDS = 0.5


class Mail(ABC):
    """Takes small tensors to the host, in their order."""

    @abstractmethod
    def send(self, numbers: Float[Tensor, " numbers"]) -> None:
        """Put one on its way."""

    @abstractmethod
    def arrived(self) -> list[list[float]]:
        """Those that are there and have not been given out; the others arrive later."""


@final
class HostMail(Mail):
    """Where tensors are on the host already."""

    def __init__(self) -> None:
        self._here: list[list[float]] = []

    @override
    def send(self, numbers: Float[Tensor, " numbers"]) -> None:
        self._here.append(numbers.tolist())

    @override
    def arrived(self) -> list[list[float]]:
        here, self._here = self._here, []
        return here


@final
class DeviceMail(Mail):
    """Copies into pinned memory, each with an event that says, without waiting, whether it is there."""

    def __init__(self) -> None:
        self._under_way: deque[tuple[torch.cuda.Event, Tensor]] = deque()

    @override
    def send(self, numbers: Float[Tensor, " numbers"]) -> None:
        event = torch.cuda.Event()
        host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
        host.copy_(numbers, non_blocking=True)
        event.record()
        self._under_way.append((event, host))

    @override
    def arrived(self) -> list[list[float]]:
        here: list[list[float]] = []
        while self._under_way and self._under_way[0][0].query():
            here.append(self._under_way.popleft()[1].tolist())
        return here


@dataclass(frozen=True)
class _Page:
    """What is kept of a step until it is summed up: tensors on the device."""

    alive: Bool[Tensor, " rows"]
    ready: Bool[Tensor, " rows"]
    norm: Float[Tensor, " rows"]
    kl: Float[Tensor, " rows"]
    losses: Float[Tensor, " groups"]
    failures: Int[Tensor, ""]


@final
class Meter:
    """Sums up some steps at a time: the handful of small kernels that this takes is shared by all of them.

    Args:
        mail: takes the sums to the host.
        clock: seconds, for an engine whose steps are far apart.
    """

    def __init__(self, mail: Mail, clock: Callable[[], float] = time.monotonic) -> None:
        self._mail, self._clock = mail, clock
        self._pages: list[_Page] = []
        self._resets = 0.0
        self._last = clock()

    def observe(self, step: Step) -> None:
        """A step is over."""
        fused, standing = step.fused, step.standing
        ready, losses = standing.ready[step.rows.slot], standing.losses.to(step.alive.device)
        self._pages.append(_Page(step.alive, ready, fused.error_norm, fused.kl, losses, standing.failures))
        if len(self._pages) >= _STEPS or self._clock() - self._last >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what has been summed up so far."""
        if not self._pages:
            return
        pages, self._pages = self._pages, []
        self._last = self._clock()

        def joined(name: str) -> Any:
            return torch.cat([getattr(page, name) for page in pages])

        alive, ready, finite = joined("alive"), joined("ready"), joined("norm").isfinite()
        mixed, losses = alive & ready & finite, joined("losses")
        learnt = losses.isfinite()
        sums = (
            mixed.sum(),
            (alive & ~ready).sum(),
            (alive & ready & ~finite).sum(),
            (~alive).sum(),
            joined("kl").masked_fill(~mixed, 0.0).sum(),
            learnt.sum(),
            losses.masked_fill(~learnt, 0.0).sum(),
            pages[-1].failures,
        )
        self._mail.send(torch.stack([each.double() for each in sums]))

    def collect(self) -> dict[str, float]:
        """What has arrived since the last call: the sums by their names, and "resets"."""
        total = dict.fromkeys((*SUMS, "resets"), 0.0)
        for numbers in self._mail.arrived():
            for name, number in zip(SUMS, numbers, strict=False):
                total[name] += number
            total["resets"] += numbers[-1] - self._resets
            self._resets = numbers[-1]
        return total
