"""Recording pairs (h¹, hᴸ): the model reads the text once, and what it felt is kept for every later fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import torch
from jaxtyping import Int
from torch import Tensor

from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.engines.huggingface.taps import Taps, evaluation_mode
from esamp.training.pairs import Pairs, Shard, open_pairs, write_pairs

__all__ = ["record"]

# Positions of one forward, and of one file: a shard of a model with d = 4096 in float32 is then half a gigabyte.
_FORWARD, _SHARD = 2048, 16384
_SAMPLED = 64


def record(
    engine: HuggingFaceEngine,
    windows: Int[Tensor, "windows window"],
    root: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Pairs, bool]:
    """The pairs of all windows, and whether they had been recorded before.

    Each window is read on its own. Its first position sees nothing before it, is an attention sink in many models and
    never the place where a token of a sample is drawn: it is left out. Recordings are kept under `root` in a folder
    named after the model's weights, the tokens and the window, so that a change of any of them records anew.

    Args:
        engine: the model.
        windows: token ids.
        root: folder of recordings; it is made.
        on_progress: told after each forward how many windows are done, and of how many.

    Raises:
        OSError: `root` cannot be written to.
        ValueError: the hidden states are not finite, or cannot be read at every position of this model.
    """
    settings = _settings(engine, windows)
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    folder = root / key
    root.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if (pairs := open_pairs(folder, settings)) is not None:
            return pairs, True
        write_pairs(folder, settings, lambda: _shards(engine, windows, on_progress))
        pairs = open_pairs(folder, settings)
    if pairs is None:
        raise ValueError(f"pairs were written to {str(folder)!r} and cannot be read back; is the disk full?")
    return pairs, False


def _settings(engine: HuggingFaceEngine, windows: Tensor) -> dict[str, Any]:
    """What a recording depends on."""
    return {
        "model": engine.model.config.name_or_path,
        "weights": _fingerprint(engine.model),
        "dtype": str(engine.head.weight.dtype),
        "tokens": hashlib.sha256(windows.numpy().tobytes()).hexdigest(),
        "windows": list(windows.shape),
    }


def _fingerprint(model: torch.nn.Module) -> str:
    """Hash of a few entries of every weight: training on, or another checkpoint, changes all of them."""
    digest = hashlib.sha256()
    for name, value in model.named_parameters():
        flat = value.detach().flatten()
        some = flat[:: max(1, len(flat) // _SAMPLED)][:_SAMPLED]
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(some.float().cpu().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def _shards(
    engine: HuggingFaceEngine, windows: Tensor, on_progress: Callable[[int, int], None] | None
) -> Iterator[Shard]:
    length = windows.shape[1]
    per_forward, per_shard = max(1, _FORWARD // length), max(1, _SHARD // length)
    done = 0
    for shard in windows.split(per_shard):
        parts: list[Shard] = []
        for ids in shard.split(per_forward):
            parts.append(_read(engine, ids.to(engine.device)))
            done += len(ids)
            if on_progress is not None:
                on_progress(done, len(windows))
        shallow, deep = zip(*parts, strict=True)
        yield torch.cat(shallow), torch.cat(deep)


def _read(engine: HuggingFaceEngine, ids: Tensor) -> Shard:
    """(h¹, hᴸ) of all positions but each window's first, a row each, on the CPU."""
    with evaluation_mode(engine.model), Taps(engine.model, sequences=True) as taps:
        engine.forward(ids, torch.ones_like(ids), None)
        try:
            shallow, deep = (hidden[:, 1:].flatten(0, 1).cpu() for hidden in taps.sequences())
        except ValueError as error:
            raise ValueError(
                f"model must hand its decoder's output to its head as it is, and {type(engine.model).__name__} changes "
                "it between: hᴸ cannot be recorded; use another model"
            ) from error
    if not bool(shallow.isfinite().all() & deep.isfinite().all()):
        raise ValueError(
            f"model must give finite hidden states, and {engine.model.config.name_or_path!r} in "
            f"{engine.head.weight.dtype} does not on this text; load it in float32"
        )
    return shallow, deep
