"""Compiled and interpreted kernels do not mix in one process: `make test` runs the interpreter's tests by themselves."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("TRITON_INTERPRET") == "1" else ["interpreted/*"]
