"""Peak memory of a generation, in a fresh process of its own."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import final

import torch
from transformers.utils import logging

from esamp.sampler import ESampSampler
from esamp.studies.speed.against_generate import Workload
from esamp.studies.speed.spec import SamplerSpec

__all__ = ["PeakMemory", "measure_peak_memory"]


@final
@dataclass(frozen=True)
class PeakMemory:
    """Bytes.

    Attributes:
        loaded: resident when the model was loaded and nothing generated.
        peak: largest resident size of the process while it generated, the model included: `ru_maxrss`, without its
            flaws on Linux.
        device: largest size allocated on the GPU while it generated; None on a CPU.
    """

    loaded: int
    peak: int
    device: int | None


def measure_peak_memory(
    spec: SamplerSpec, workload: Workload, generate: Callable[[ESampSampler, Workload, int], int]
) -> PeakMemory:
    """Load the sampler in a new process, run `generate(sampler, workload, 0)` there, and read off the peak.

    Call it before anything large is in this process: elsewhere than on Linux the new one's peak may begin with the size
    of its parent.

    Raises:
        RuntimeError: the process died, as it does when memory runs out.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, spec, workload, generate, torch.get_num_threads()).result()


def _measure(
    spec: SamplerSpec, workload: Workload, generate: Callable[[ESampSampler, Workload, int], int], threads: int
) -> PeakMemory:
    torch.set_num_threads(threads)
    logging.disable_progress_bar()
    sampler = spec.build()
    device = sampler.engine.device
    if device.type == "cuda":  # pragma: no cover (needs a GPU)
        torch.cuda.reset_peak_memory_stats(device)
    loaded = _forget_peak()
    generate(sampler, workload, 0)
    allocated = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return PeakMemory(loaded, _peak(), allocated)


def _forget_peak() -> int:
    """Let the peak start anew from the present size, where the system can (Linux); returns that size.

    Loading a model may take more than generating with it does.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    # Linux gives ru_maxrss of a parent to its children; VmHWM is the same figure of this process alone.
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024
