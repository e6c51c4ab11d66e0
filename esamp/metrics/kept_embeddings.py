"""Sentence embeddings that are kept in a file, so that a text is embedded once and not once a report."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from esamp.metrics.embedding import Embedder

__all__ = ["KeptEmbeddings"]


@final
class KeptEmbeddings:
    """An embedder that asks another one for texts that it has not seen yet, and remembers.

    Args:
        embedder: who embeds.
        file: a safetensors file; one that is damaged, or of another embedder, is begun anew.
        name: of the embedder.

    Examples:
        >>> import tempfile
        >>> asked = []
        >>> def embedder(texts):
        ...     asked.extend(texts)
        ...     return torch.ones(len(texts), 2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for texts in (["one", "two"], ["two", "three"]):
        ...         kept = KeptEmbeddings(embedder, Path(folder, "kept.safetensors"), "ones")
        ...         rows = kept(texts)
        ...         kept.save()
        >>> asked, rows.shape
        (['one', 'two', 'three'], torch.Size([2, 2]))
    """

    def __init__(self, embedder: Embedder, file: Path, name: str) -> None:
        self._embedder = embedder
        self._file = file
        self._name = name
        self._rows: dict[str, Tensor] = self._read()
        self._new = False

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "texts d"]:
        """Embeddings, float32 on the CPU."""
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._rows}
        if not texts:
            return self._embedder([])
        if unknown:
            self._rows |= dict(zip(unknown, self._embedder(list(unknown.values())), strict=True))
            self._new = True
        return torch.stack([self._rows[key] for key in keys])

    def save(self) -> None:
        """Write down what is new. What cannot be written costs time another day, and not the work of this one."""
        if not self._new:
            return
        scratch = self._file.with_name(f".{self._file.name}.{os.getpid()}.part")
        try:
            rows = {"rows": torch.stack(list(self._rows.values()))}
            save_file(rows, scratch, {"embedder": self._name, "keys": json.dumps(list(self._rows))})
            scratch.replace(self._file)
        except (OSError, SafetensorError):
            scratch.unlink(missing_ok=True)

    def _read(self) -> dict[str, Tensor]:
        try:
            with safe_open(self._file, "pt") as opened:
                said: dict[str, str] = opened.metadata() or {}
                if said.get("embedder") != self._name:
                    return {}
                return dict(zip(json.loads(said["keys"]), opened.get_tensor("rows"), strict=True))
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return {}
