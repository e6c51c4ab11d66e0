"""Overlap schedulers: when the distiller's work runs beside the LLM's."""

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
