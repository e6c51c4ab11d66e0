"""Every finished sample as a line of JSON."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, final

from typing_extensions import override

from esamp.callbacks.base import Callback, GenerateStart

if TYPE_CHECKING:
    from esamp.result import GenerationResult, Sample

__all__ = ["JSONLWriter"]


@final
class JSONLWriter(Callback):
    """Writes each sample when it ends, as one complete line: an interrupted run leaves whole lines only.

    Args:
        path: the file; it is overwritten.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self._file: int | None = None

    @override
    def on_generate_start(self, start: GenerateStart) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)

    @override
    def on_sample_end(self, sample: Sample) -> None:
        if self._file is None:
            raise RuntimeError("JSONLWriter.on_sample_end was called before on_generate_start")
        line = (json.dumps(sample.to_dict(), ensure_ascii=False) + "\n").encode()
        # One write call a line: no signal can come between two halves of it. Only a full disk takes a part.
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, "no space for another sample; those before it are whole", str(self.path))

    @override
    def on_generate_end(self, result: GenerationResult) -> None:
        self._close()

    @override
    def on_exception(self, error: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
