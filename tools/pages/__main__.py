"""Write every page that is made from the code."""

from __future__ import annotations

from pathlib import Path

from tools.pages import PAGES

for path, make in PAGES.items():
    Path(path).write_text(make(), encoding="utf-8")
    print(path)
