"""Every kernel is started here, so that launches can be watched: counted, weighed, or compiled for another device."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

__all__ = ["Launch", "launch", "watch"]


@dataclass(frozen=True)
class Launch:
    """One kernel about to be started.

    Attributes:
        kernel: the function that `triton.jit` made.
        grid: number of programs along each axis.
        arguments: by the names of the kernel's parameters.
        options: compiler options: num_warps, num_stages.
    """

    kernel: Any
    grid: tuple[int, ...]
    arguments: dict[str, Any]
    options: dict[str, int]

    @property
    def name(self) -> str:
        """The kernel's name."""
        return self.kernel.fn.__name__

    def run(self) -> None:
        """Start it."""
        self.kernel[self.grid](**self.arguments, **self.options)


_watcher: ContextVar[Callable[[Launch], None] | None] = ContextVar("watcher", default=None)


def launch(kernel: Any, grid: tuple[int, ...], arguments: dict[str, Any], **options: int) -> None:
    """Start a kernel, or hand it to whoever watches. A grid without programs starts nothing."""
    if 0 in grid:
        return
    wanted, watcher = Launch(kernel, grid, arguments, options), _watcher.get()
    if watcher is None:
        wanted.run()
    else:
        watcher(wanted)


@contextmanager
def watch(watcher: Callable[[Launch], None]) -> Generator[None]:
    """Within the block kernels are not started but handed to `watcher`, which may call their `run`."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
