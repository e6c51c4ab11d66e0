"""Files that a command is going to write, checked before minutes are spent on what goes into them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["check_folder", "check_writable"]


def check_writable(name: str, path: str) -> Path:
    """The path, in a folder that is there now and can be written to; an older file is not touched.

    Args:
        name: of the option, for the error.
        path: what the user gave.

    Raises:
        ValueError: no file can be written there.
    """
    file = Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{name} must be a file in a folder that can be made, got {path!r}: {error}") from error
    if file.is_dir():
        raise ValueError(f"{name} must be a file, got the folder {path!r}; add a file name")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ValueError(f"{name} must be a file that can be written, got {path!r}; choose another place")
    return file


def check_folder(name: str, path: str) -> Path:
    """The path of a folder that is there now and can be written to.

    Args:
        name: of the option, for the error.
        path: what the user gave.

    Raises:
        ValueError: there is no such folder, and none can be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{name} must be a folder that can be made, got {path!r}: {error}") from error
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{name} must be a folder that can be written to, got {path!r}; choose another place")
    return folder
