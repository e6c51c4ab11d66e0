"""What a measurement leaves behind: settings, machine, the command that made it, and all times, as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

import torch
import transformers

import esamp

__all__ = ["Computer", "Record", "read_records"]


@final
@dataclass(frozen=True)
class Computer:
    """Where it was measured.

    Attributes:
        cpu: name of the processor.
        cores: that the process may use.
        threads: that an operation of PyTorch uses.
        gpu: name of the GPU, or None where the model is on the CPU.
        load: average number of running processes over the last minute, when the measurement began; None: unknown.
        python, torch, transformers, esamp: versions.
    """

    cpu: str
    cores: int
    threads: int
    gpu: str | None
    load: float | None
    python: str
    torch: str
    transformers: str
    esamp: str

    @classmethod
    def here(cls, device: torch.device | None = None) -> Computer:
        """This one, now."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cls(
            cpu=_cpu_name(),
            cores=cores,
            threads=torch.get_num_threads(),
            gpu=torch.cuda.get_device_name(device) if device is not None and device.type == "cuda" else None,
            load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            python=platform.python_version(),
            torch=torch.__version__,
            transformers=transformers.__version__,
            esamp=esamp.__version__,
        )

    def describe(self) -> str:
        """One line: processor, threads and versions."""
        where = self.cpu if self.gpu is None else f"{self.gpu}, {self.cpu}"
        threads = "one thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{where}, {threads} of {self.cores} cores, torch {self.torch}, transformers {self.transformers}"


@final
@dataclass(frozen=True)
class Record:
    """One measurement.

    Attributes:
        bench: its name: "overhead", "generate", ...
        command: the command line that made it.
        settings: what was measured: model, parts, sizes.
        result: what came out; of times every single one.
        computer: where.
        date: when it ended, UTC, ISO 8601.
    """

    bench: str
    command: str
    settings: dict[str, Any]
    result: dict[str, Any]
    computer: Computer
    date: str

    @classmethod
    def now(
        cls, bench: str, command: str, settings: dict[str, Any], result: dict[str, Any], computer: Computer
    ) -> Record:
        """A record of what has just been measured."""
        return cls(bench, command, settings, result, computer, datetime.now(UTC).isoformat(timespec="seconds"))

    def write(self, path: Path) -> None:
        """Write it as JSON; the folder is made where there is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Record:
        """What `write` wrote.

        Raises:
            ValueError: the file holds something else.
        """
        try:
            loaded = json.loads(path.read_text())
            return cls(**(loaded | {"computer": Computer(**loaded["computer"])}))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{str(path)!r} must be a record written by `esamp bench ... --json FILE`, and is not: {error}"
            ) from error


def read_records(folder: Path, bench: str) -> list[Record]:
    """The records of one bench in a folder, in the order of their file names.

    Raises:
        ValueError: a JSON file in it is no record.
    """
    found = [Record.read(path) for path in sorted(folder.glob("*.json"))]
    return [record for record in found if record.bench == bench]


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
