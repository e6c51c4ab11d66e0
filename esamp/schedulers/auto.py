"""Which scheduler fits the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, final

import torch
from typing_extensions import override

from esamp.schedulers.base import OverlapScheduler, Pending, schedulers
from esamp.schedulers.cuda_stream import CudaStreamScheduler
from esamp.schedulers.synchronous import SynchronousScheduler

__all__ = ["AutoScheduler"]

T = TypeVar("T")


@final
@schedulers.register("auto")
class AutoScheduler(OverlapScheduler):
    """`CudaStreamScheduler` for a model on a CUDA device, `SynchronousScheduler` for any other.

    On a CPU, work beside the model takes from the model's own cores what it gains: see "Overlap" in the documentation.
    A sampler binds it to its model's device; before that it is the one for a CPU.

    Examples:
        >>> type(AutoScheduler().bind(torch.device("cpu"))).__name__
        'SynchronousScheduler'
    """

    def __init__(self) -> None:
        self._chosen: OverlapScheduler = SynchronousScheduler()

    @override
    def submit(self, work: Callable[[], T]) -> Pending[T]:
        return self._chosen.submit(work)

    @override
    def wait(self, pending: Pending[T]) -> T:
        return self._chosen.wait(pending)

    @override
    def bind(self, device: torch.device) -> OverlapScheduler:
        return CudaStreamScheduler().bind(device) if device.type == "cuda" else self._chosen
