"""Start weights in a safetensors file: whose they are stands in its metadata, and nothing in it can run."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

__all__ = ["StartFile", "arguments_of", "read_start", "write_start"]

_FORMAT = "esamp.distiller.1"


@dataclass(frozen=True)
class StartFile:
    """What a file of start weights says.

    Attributes:
        path: the file.
        weights: of one group, by name, float32.
        distiller: name of the class.
        arguments: plain arguments that the class was made with.
        hidden_size: width d of the model.
        model: name of the model.
    """

    path: Path
    weights: dict[str, Tensor]
    distiller: str
    arguments: dict[str, Any]
    hidden_size: int
    model: str

    def check_fits(self, part: nn.Module, wanted: Mapping[str, Tensor]) -> None:
        """Check that these are weights of `part`, whose initial ones are `wanted`.

        Raises:
            ValueError: they belong to another class, have other names or sizes, or are not finite.
        """
        name = type(part).__qualname__
        if self.distiller != name:
            raise ValueError(
                f"start must hold a {name}, and {str(self.path)!r} holds a {self.distiller}; use that class"
            )
        if unknown := sorted(self.weights.keys() ^ wanted.keys()):
            raise ValueError(
                f"start must hold the weights {', '.join(wanted)} of a {name}, and in {str(self.path)!r} "
                f"{', '.join(unknown)} is missing or too much; train it again with this release"
            )
        mine = arguments_of(part)
        other = [f"{key}={value!r}" for key, value in self.arguments.items() if mine.get(key) != value]
        for key, value in self.weights.items():
            if value.shape != wanted[key].shape:
                raise ValueError(
                    f"start must have the distiller's sizes, and {key} in {str(self.path)!r} is {list(value.shape)} "
                    f"in place of {list(wanted[key].shape)}; make the {name} as that one was: {', '.join(other)}"
                )
            if not bool(value.isfinite().all()):
                raise ValueError(
                    f"start must hold finite numbers, and {key} in {str(self.path)!r} does not; train it again"
                )


def arguments_of(part: nn.Module) -> dict[str, Any]:
    """The plain arguments of a part's constructor that it keeps under their own names."""
    kept = {name: getattr(part, name, None) for name in inspect.signature(type(part)).parameters}
    return {name: value for name, value in kept.items() if isinstance(value, int | float | str)}


def write_start(
    path: Path, part: nn.Module, weights: Mapping[str, Tensor], hidden_size: int, *, model: str, release: str
) -> None:
    """Write start weights, all or nothing: an older file stays whole if this fails.

    Args:
        path: the file.
        part: the distiller that they are for; its class and arguments go into the metadata.
        weights: of one group, by name.
        hidden_size: width d of the model.
        model: its name.
        release: version of esamp that trained them.

    Raises:
        OSError: the file cannot be written.
    """
    metadata = {
        "format": _FORMAT,
        "distiller": type(part).__qualname__,
        "arguments": json.dumps(arguments_of(part)),
        "hidden_size": str(hidden_size),
        "model": model,
        "esamp": release,
    }
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(
            {name: value.detach().float().cpu().contiguous() for name, value in weights.items()}, scratch, metadata
        )
        scratch.replace(path)
    except SafetensorError as error:
        raise OSError(
            f"start weights cannot be written to {str(path)!r}: {error}; an older file is as it was"
        ) from error
    finally:
        scratch.unlink(missing_ok=True)


def read_start(path: str | Path) -> StartFile:
    """Read start weights.

    Raises:
        ValueError: the file is missing, is no safetensors file, or holds something else.
    """
    wanted = "start must be a safetensors file of `esamp fit`"
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{wanted}, and {str(path)!r} is {'a folder' if file.is_dir() else 'not there'}")
    try:
        with safe_open(file, "pt") as opened:
            said: dict[str, str] = opened.metadata() or {}
            # A copy: the file may be written anew while its weights are in use. `opened` has keys and no iterator.
            weights = {name: opened.get_tensor(name).to(torch.float32, copy=True) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        hint = "; a checkpoint of Lightning is for --resume" if file.suffix == ".ckpt" else ""
        raise ValueError(f"{wanted}, and {str(path)!r} is none: {error}{hint}") from error
    if said.get("format") != _FORMAT:
        raise ValueError(f"{wanted}, and {str(path)!r} holds something else: its format is {said.get('format')!r}")
    try:
        arguments, width = json.loads(said["arguments"]), int(said["hidden_size"])
        return StartFile(file, weights, said["distiller"], dict(arguments), width, said["model"])
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{wanted}, and the metadata of {str(path)!r} are damaged: {error}") from error
