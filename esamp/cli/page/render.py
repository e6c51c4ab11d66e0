"""From the view to HTML."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from typing import TYPE_CHECKING

import esamp
from esamp.cli.page.novelty import LEVELS
from esamp.cli.page.view import MAP_HEIGHT, MAP_WIDTH, PageView

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["check_jinja", "environment", "render"]


def check_jinja() -> None:
    """Accept an environment that can render.

    Raises:
        ModuleNotFoundError: Jinja2 is not installed.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise ModuleNotFoundError("the page needs Jinja2, which is not installed; run: pip install 'esamp[demo]'")


def render(page: PageView) -> str:
    """The page as one HTML document: one style block, allowed by its hash, and nothing else that could run or load.

    Raises:
        ModuleNotFoundError: Jinja2 is not installed.
    """
    check_jinja()
    made = environment()
    style = made.get_template("style.css").render(levels=LEVELS).strip()
    return made.get_template("page.html").render(
        page=page,
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        levels=LEVELS,
        map_size=(MAP_WIDTH, MAP_HEIGHT),
        version=esamp.__version__,
    )


def environment() -> Environment:
    """Where the templates of all pages are found; whatever is put into them is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("esamp.cli"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
