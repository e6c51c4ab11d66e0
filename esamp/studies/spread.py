"""Processes that share the units of a study: Lightning Fabric starts them and says who is who."""

from __future__ import annotations

import datetime
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any, TypeVar, final

import torch

from esamp.checks import check_choice, check_integer

__all__ = ["Spread"]

T = TypeVar("T")

# Processes meet twice, at the start and at the end, and one may have a long unit to finish until then. One that dies is
# noticed by its closed connection, not by this.
_PATIENCE = datetime.timedelta(days=7)


@final
class Spread:
    """This process among those of a run. Units are independent: nothing is exchanged while they run.

    Args:
        accelerator: "auto", "cpu", "cuda", ...
        devices: processes on each node, one a device; "auto": as many as there are devices.
        num_nodes: machines. The command is started on each, by torchrun, Slurm, or by hand with `MASTER_ADDR`,
            `MASTER_PORT` and `NODE_RANK` set.
        strategy: "auto" or "ddp", which is the same.

    Raises:
        ValueError: an argument is out of range, or the machine has no such devices.
    """

    def __init__(
        self, accelerator: str = "auto", devices: int | str = 1, num_nodes: int = 1, strategy: str = "auto"
    ) -> None:
        check_choice("strategy", strategy, ("auto", "ddp"))
        check_integer("num_nodes", num_nodes, low=1)
        if devices != "auto":
            check_integer("devices", devices, low=1)
        from lightning.fabric import Fabric
        from lightning.fabric.strategies.ddp import DDPStrategy

        logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
        several = strategy == "ddp" or num_nodes > 1 or devices not in (1, "auto")
        try:
            self._fabric = Fabric(
                accelerator=accelerator,
                devices=devices,
                num_nodes=num_nodes,
                strategy=DDPStrategy(timeout=_PATIENCE) if several else "auto",
            )
        except (ValueError, RuntimeError) as error:  # Fabric's own complaint about what the machine does not have
            reason = " ".join(str(error).split())
            raise ValueError(f"accelerator {accelerator!r} with devices {devices!r}: {reason}") from error

    def launch(self) -> None:
        """Start the other processes of this node, which run the same command, and find those of other nodes."""
        self._fabric.launch()
        if os.environ.get("LOCAL_RANK", "0") != "0":
            threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()

    @property
    def first(self) -> bool:
        """This process speaks for all."""
        return self._fabric.global_rank == 0

    @property
    def processes(self) -> int:
        """How many there are."""
        return self._fabric.world_size

    @property
    def device(self) -> torch.device:
        """This process's own."""
        return self._fabric.device

    def share(self, value: T) -> T:
        """What the first process has, in all of them. Every process calls it."""
        return self._fabric.broadcast(value) if self.processes > 1 else value

    def mine(self, units: Sequence[Any]) -> list[Any]:
        """The units of this process: every one belongs to exactly one."""
        return list(units[self._fabric.global_rank :: self.processes])

    def wait(self) -> None:
        """Until every process is here."""
        self._fabric.barrier()

    def close(self) -> None:
        """Let go of the others."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _follow_parent(parent: int) -> None:
    """End with the process that started this one: nobody else would stop it if that one was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    # At once, for it may wait in a collective, where no signal reaches it; what it has written is whole.
    os._exit(128 + signal.SIGTERM)
