"""One number that says which weights a run was made with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from transformers import PreTrainedModel

from esamp.engines.huggingface.embedded import EMBEDDED_NAME, cache_folder

__all__ = ["hash_files", "hash_model"]

_CACHE = "model-hashes.json"


def hash_model(name: str, model: PreTrainedModel) -> str:
    """SHA-256, as hexadecimal digits, of the weights that `load(name)` read.

    Of the safetensors files, whose names and own SHA-256 are hashed together; a file's is computed once and kept in the
    library's cache until its size or its time changes. Where there is no such file, of the loaded tensors.

    Args:
        name: as `load` takes it.
        model: what it gave back.
    """
    return hash_files(name) or _hash_tensors(model)


def hash_files(name: str) -> str | None:
    """The same without the model; None where there is no safetensors file.

    Args:
        name: as `load` takes it.
    """
    folder = _folder(name)
    files = [] if folder is None else sorted(folder.glob("*.safetensors"))
    if not files:
        return None
    together = hashlib.sha256()
    for file in files:
        together.update(f"{file.name} {_hash_file(file)}\n".encode())
    return together.hexdigest()


def _folder(name: str) -> Path | None:
    """Where the files of a model are that was loaded by this name."""
    if name == EMBEDDED_NAME:
        return cache_folder() / EMBEDDED_NAME
    if Path(name).is_dir():
        return Path(name)
    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _hash_file(file: Path) -> str:
    """Kept by path, size and time."""
    state = file.stat()
    key = f"{file.resolve()} {state.st_size} {state.st_mtime_ns}"
    cache = cache_folder() / _CACHE
    try:
        known: dict[str, str] = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    if key not in known:
        with file.open("rb") as opened:
            known[key] = hashlib.file_digest(opened, "sha256").hexdigest()
        _keep(cache, known)
    return known[key]


def _keep(cache: Path, known: dict[str, str]) -> None:
    """A cache that cannot be written costs time, not the run."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        scratch = cache.with_suffix(".tmp")
        scratch.write_text(json.dumps(known, indent=1))
        scratch.replace(cache)
    except OSError:
        return


def _hash_tensors(model: PreTrainedModel) -> str:
    together = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        together.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        together.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return together.hexdigest()
