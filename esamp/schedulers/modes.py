"""What PyTorch keeps for each thread of its own, carried from one thread to another."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import final

import torch

__all__ = ["ThreadModes"]

_AUTOCAST_DEVICES = ("cpu", "cuda")


@final
@dataclass(frozen=True)
class ThreadModes:
    """Autograd modes, autocast, and the number of threads of an operation, on which the last bit of a sum depends.

    Attributes:
        grad: operations are recorded for autograd.
        inference: inference mode.
        autocast: device types with autocast on, each with its dtype.
        threads: number of threads of an operation.
    """

    grad: bool
    inference: bool
    autocast: tuple[tuple[str, torch.dtype], ...]
    threads: int

    @classmethod
    def current(cls) -> ThreadModes:
        """The modes of the thread that calls."""
        on = [device for device in _AUTOCAST_DEVICES if torch.is_autocast_enabled(device)]
        return cls(
            grad=torch.is_grad_enabled(),
            inference=torch.is_inference_mode_enabled(),
            autocast=tuple((device, torch.get_autocast_dtype(device)) for device in on),
            threads=torch.get_num_threads(),
        )

    @contextmanager
    def entered(self) -> Generator[None]:
        """While entered, the thread that calls is in these modes; the number of threads stays."""
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(self.inference))
            stack.enter_context(torch.set_grad_enabled(self.grad))
            for device, dtype in self.autocast:
                stack.enter_context(torch.autocast(device, dtype))
            yield
