"""Compiled and interpreted kernels do not mix in one process, and neither stands the checks of annotations.

`make test` therefore runs each by itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    interpreting = os.environ.get("TRITON_INTERPRET") == "1"
    if collection_path.name == "interpreted":
        return True if not interpreting else None
    if collection_path.name == "compiled":
        return True if interpreting or config.getoption("jaxtyping_packages", None) else None
    return None
