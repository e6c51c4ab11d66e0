"""Overlap schedulers: when the distiller's work runs beside the LLM's.

Examples:
    Every scheduler gives the same value, now or when it is waited for:

    >>> from esamp.schedulers import *
    >>> import torch
    >>> for name in ("synchronous", "thread", "auto"):
    ...     scheduler: OverlapScheduler = schedulers.build(name).bind(torch.device("cpu"))
    ...     pending: Pending[int] = scheduler.submit(lambda: 6 * 7)
    ...     print(type(scheduler).__name__, scheduler.wait(pending), pending.value())
    SynchronousScheduler 42 42
    ThreadScheduler 42 42
    SynchronousScheduler 42 42
    >>> isinstance(torch.cuda, StreamBackend), schedulers.names()
    (True, ['auto', 'cuda_stream', 'synchronous', 'thread'])
"""

from esamp.schedulers.auto import AutoScheduler
from esamp.schedulers.base import OverlapScheduler, Pending, schedulers
from esamp.schedulers.cuda_stream import CudaStreamScheduler, StreamBackend
from esamp.schedulers.synchronous import SynchronousScheduler
from esamp.schedulers.thread import ThreadScheduler

__all__ = [
    "AutoScheduler",
    "CudaStreamScheduler",
    "OverlapScheduler",
    "Pending",
    "StreamBackend",
    "SynchronousScheduler",
    "ThreadScheduler",
    "schedulers",
]
