"""Runs the code of the tutorials and writes what it prints and draws into their pages.

A page is plain Markdown that reads the same on the site and in a repository browser. What is said to this tool stands
in HTML comments, which nobody sees:

| in the page | means |
|---|---|
| a block of `python` | is run, in one namespace a page |
| a block of `sh` | its `esamp` commands are run |
| a block of any language with a `title` | is written to a file of that name |
| `<!-- not run: REASON -->` before a block | is only shown |
| `<!-- output: markdown -->` before a block | what it prints is Markdown |
| `<!-- output: first N lines -->`, or last | only these lines of what it prints are shown |
| `<!-- output: none -->` before a block | what it prints is not shown |
| `<!-- made: PATH -->` before a line | what that line links to is the file that the code wrote to PATH |
| `<!-- short form`, then lines `A => B`, then `-->` | what the tests replace, so that the page runs in seconds |

Between `<!-- output -->` and `<!-- end of output -->` stands what the code printed; the comment at the page's end has a
hash of the code that it comes from, so that code which was edited since is found by a test.
"""

from tools.tutorials.page import Block, Page
from tools.tutorials.run import Outcome, TutorialError, run_page

__all__ = ["Block", "Outcome", "Page", "TutorialError", "run_page"]
