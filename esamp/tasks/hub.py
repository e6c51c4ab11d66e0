"""Data sets of the Hugging Face hub, through the package `datasets`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from esamp.tasks.rows import Row

__all__ = ["Hub", "hub_rows"]


@dataclass(frozen=True)
class Hub:
    """Where a data set lies on the hub.

    Attributes:
        name: of the repository, such as "openai/gsm8k".
        split: of it.
        config: of it, where it has several.
        files: its files as JSON lines, where it has no split of its own that can be loaded without running its code.
    """

    name: str
    split: str = "test"
    config: str | None = None
    files: tuple[str, ...] = ()


def hub_rows(hub: Hub, way_out: str) -> Iterator[Row]:
    """The rows of a data set of the hub, in its order.

    Args:
        hub: where it lies.
        way_out: what to do instead, for the error.

    Raises:
        FileNotFoundError: `datasets` is not installed, or the hub does not give the data set.
    """
    try:
        datasets: Any = importlib.import_module("datasets")
    except ModuleNotFoundError as error:
        raise FileNotFoundError(
            f"the data set {hub.name} is not here; {way_out}, or `pip install datasets` to get it from the hub"
        ) from error
    try:
        if hub.files:
            files = [f"hf://datasets/{hub.name}/{file}" for file in hub.files]
            loaded = datasets.load_dataset("json", data_files=files, split="train")
        else:
            loaded = datasets.load_dataset(hub.name, hub.config, split=hub.split)
    # Whatever keeps the data set away (no network, a gate, another name), what the user can do is the same.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise FileNotFoundError(
            f"the data set {hub.name} cannot be got from the hub ({type(error).__name__}: {reason}); {way_out}, or run "
            "where the hub can be reached"
        ) from error
    for number, values in enumerate(loaded, 1):
        yield Row(values, f"{hub.name}, row {number}")
