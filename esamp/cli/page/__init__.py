"""The demo's page: one self-contained HTML file without scripts and without network."""

from esamp.cli.page.render import render
from esamp.cli.page.view import PageView, make_page

__all__ = ["PageView", "make_page", "render"]
