"""The report's page: one self-contained HTML file whose only script is the browser of samples."""

from esamp.cli.report_page.browser import Browser, make_browser
from esamp.cli.report_page.pieces import TokenCutter, local_decoder
from esamp.cli.report_page.render import render_report

__all__ = ["Browser", "TokenCutter", "local_decoder", "make_browser", "render_report"]
