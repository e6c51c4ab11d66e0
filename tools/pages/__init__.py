"""The pages of the documentation that are made from the code: `python -m tools.pages` writes them."""

from tools.pages.clouds import clouds
from tools.pages.command_line import command_line
from tools.pages.configuration import configuration

__all__ = ["PAGES"]

PAGES = {
    "docs/reference/command-line.md": command_line,
    "docs/reference/configuration.md": configuration,
    "docs/images/clouds.html": clouds,
}
"""Each page or part of one, and what makes its text."""
