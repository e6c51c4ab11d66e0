from __future__ import annotations

from tests.cli.conftest import esamp, generate, model

__all__ = ["esamp", "generate", "model"]
