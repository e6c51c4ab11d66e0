"""Overlap schedulers: when the distiller's work runs beside the LLM's."""

from esamp.schedulers.base import OverlapScheduler, Pending, schedulers
from esamp.schedulers.synchronous import SynchronousScheduler

__all__ = ["OverlapScheduler", "Pending", "SynchronousScheduler", "schedulers"]
