"""Pairs (h¹, hᴸ) on disk: a folder of safetensors shards with a manifest, there in whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["Pairs", "Shard", "open_pairs", "write_pairs"]

Shard = tuple[Float[Tensor, "rows d"], Float[Tensor, "rows d"]]
"""h¹ and hᴸ of some rows, in the model's dtype."""

_MANIFEST = "manifest.json"
_FORMAT = 2


@dataclass(frozen=True)
class Pairs:
    """Pairs of one recording, read from disk as they are asked for.

    Attributes:
        folder: where they are.
        shallow: h¹ in shards of equal length, the last one excepted; memory-mapped.
        deep: hᴸ, likewise.

    Examples:
        >>> from pathlib import Path
        >>> pairs = Pairs(Path("."), [torch.zeros(4, 2), torch.ones(3, 2)], [torch.zeros(4, 2), torch.ones(3, 2)])
        >>> len(pairs), pairs.hidden_size
        (7, 2)
        >>> shallow, deep = pairs.take(torch.tensor([0, 6]))
        >>> shallow
        tensor([[0., 0.],
                [1., 1.]])
    """

    folder: Path
    shallow: list[Float[Tensor, "_ d"]]
    deep: list[Float[Tensor, "_ d"]]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.shallow)

    @property
    def hidden_size(self) -> int:
        """Width d."""
        return self.shallow[0].shape[1]

    def take(self, index: Int[Tensor, " rows"]) -> Shard:
        """(h¹, hᴸ) of the pairs at these places, float32."""
        per_shard = len(self.shallow[0])
        shallow = torch.empty(len(index), self.hidden_size)
        deep = torch.empty_like(shallow)
        for number in (index // per_shard).unique().tolist():
            here = index // per_shard == number
            inside = index[here] - number * per_shard
            shallow[here] = self.shallow[number][inside].float()
            deep[here] = self.deep[number][inside].float()
        return shallow, deep


def write_pairs(folder: Path, settings: Mapping[str, Any], shards: Callable[[], Iterator[Shard]]) -> None:
    """Write shards into a folder beside `folder`, then move it into place: one that is there is whole.

    Raises:
        OSError: the folder cannot be written.
    """
    scratch = folder.with_name(f"{folder.name}.partial")
    # What a killed recording left.
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        checksums: dict[str, str] = {}
        for number, (shallow, deep) in enumerate(shards()):
            file = scratch / f"pairs-{number:05d}.safetensors"
            save_file({"shallow": shallow.contiguous(), "deep": deep.contiguous()}, file)
            checksums[file.name] = _sha256(file)
        manifest = {"format": _FORMAT, "settings": dict(settings), "sha256": checksums}
        (scratch / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        scratch.replace(folder)
    except SafetensorError as error:
        raise OSError(f"pairs cannot be written to {str(scratch)!r}: {error}; nothing of them is kept") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def open_pairs(folder: Path, settings: Mapping[str, Any]) -> Pairs | None:
    """The recording in a folder; None where there is none, or one that is not whole or was made with other settings."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        checksums: dict[str, str] = manifest["sha256"]
        if manifest["format"] != _FORMAT or manifest["settings"] != dict(settings):
            return None
        if not checksums or any(_sha256(folder / name) != wanted for name, wanted in checksums.items()):
            return None
        shards = [_open_shard(folder / name) for name in sorted(checksums)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
        return None
    return Pairs(folder, [shallow for shallow, _ in shards], [deep for _, deep in shards])


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _open_shard(file: Path) -> Shard:
    with safe_open(file, "pt") as opened:
        return opened.get_tensor("shallow"), opened.get_tensor("deep")
