"""The manifest of one result: what it was made with, in a file beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, final

from transformers import PreTrainedModel
from typing_extensions import override

from esamp.callbacks import Callback, GenerateStart
from esamp.engines.huggingface.hashing import hash_model
from esamp.studies.surroundings import surroundings

__all__ = ["ManifestWriter", "write_manifest"]


def write_manifest(path: Path, name: str, model: PreTrainedModel, settings: dict[str, Any]) -> None:
    """Write versions, commit, machine, command, the model with its hash and dtype, and the settings; all or nothing.

    Raises:
        OSError: the file cannot be written.
    """
    dtype = str(model.dtype).removeprefix("torch.")
    made = {"model": {"name": name, "hash": hash_model(name, model), "dtype": dtype}, "settings": settings}
    scratch = path.with_name(f".{path.name}.part")
    try:
        text = json.dumps({**surroundings(), **made}, indent=1, ensure_ascii=False, default=str)
        scratch.write_text(text + "\n", encoding="utf-8")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@final
class ManifestWriter(Callback):
    """Writes the manifest of a file of samples before the first of them: `FILE.manifest.json`.

    Args:
        file: of the samples. Beside a device or a pipe nothing is written.
        name: of the model, as it was loaded.
        model: the model.
        asked: what was asked for beyond the settings of the run, such as the prompts.
    """

    def __init__(self, file: str, name: str, model: PreTrainedModel, asked: dict[str, Any]) -> None:
        self.file: Path = Path(file)
        self.name: str = name
        self.model: PreTrainedModel = model
        self.asked: dict[str, Any] = asked

    @override
    def on_generate_start(self, start: GenerateStart) -> None:
        if self.file.is_file() or not self.file.exists():
            path = self.file.with_name(f"{self.file.name}.manifest.json")
            write_manifest(path, self.name, self.model, {**start.settings, **self.asked})
