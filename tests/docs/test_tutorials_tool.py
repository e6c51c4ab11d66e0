"""The tool that runs tutorials, on pages made up for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.tutorials import Page, TutorialError, run_page
from tools.tutorials.__main__ import regenerate
from tools.tutorials.figure import themed
from tools.tutorials.text import WIDTH, fenced

PAGE = """\
# A page

<!-- short form
n = 16 => n = 2
-->

```python title="part.py"
VALUE = 3
```

```python
from part import VALUE

n = 16
```

Text between.

<!-- output: markdown -->
```python
print(f"**{n} times {VALUE}**")
```

```python
from pathlib import Path
from matplotlib.figure import Figure

figure = Figure(figsize=(2, 1))
figure.subplots().plot([1, 2])
figure.savefig("line.svg")
print(Path("line.svg").resolve())
```

<!-- made: line.svg -->
![A line](images/drawn.svg)

The end.
"""


def write(folder: Path, text: str = PAGE) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


def test_outputs_and_figures_are_written_into_the_page(tmp_path: Path) -> None:
    path = write(tmp_path)
    regenerate(Page.read(path))
    text = path.read_text()
    assert "```\n\n<!-- output -->\n\n**16 times 3**\n\n<!-- end of output -->\n\n```python" in text
    # No path of this machine is shown.
    assert "<!-- output -->\n```text\nline.svg\n```\n<!-- end of output -->" in text
    assert "prefers-color-scheme: dark" in (tmp_path / "images/drawn.svg").read_text()
    page = Page.read(path)
    assert (page.source, page.outputs, page.stamp) == (PAGE, 2, page.code_hash)


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path)
    regenerate(Page.read(path))
    first, drawn = path.read_text(), (tmp_path / "images/drawn.svg").read_bytes()
    regenerate(Page.read(path))
    assert path.read_text() == first
    assert (tmp_path / "images/drawn.svg").read_bytes() == drawn


@pytest.mark.parametrize("edit", [("VALUE = 3", "VALUE = 4"), ("n = 16\n```", "n = 17\n```"), ("[1, 2]", "[2, 1]")])
def test_edited_code_is_stale_and_edited_prose_is_not(tmp_path: Path, edit: tuple[str, str]) -> None:
    path = write(tmp_path)
    regenerate(Page.read(path))
    path.write_text(path.read_text().replace("Text between.", "Another text."))
    assert Page.read(path).stamp == Page.read(path).code_hash
    path.write_text(path.read_text().replace(*edit))
    assert Page.read(path).stamp != Page.read(path).code_hash


def test_the_short_form_replaces_and_must_find_what_it_replaces(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    page = Page.read(write(tmp_path))
    assert "**2 times 3**" in run_page(page.shortened(), folder).printed[2]
    with pytest.raises(ValueError, match=r"page\.md: the short form replaces 'm = 1', which no block holds"):
        Page.read(write(tmp_path, PAGE.replace("n = 16 =>", "m = 1 =>"))).shortened()


def test_a_failure_names_the_page_and_the_line_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, PAGE.replace("print(f", "1 / 0\nprint(f"))
    with pytest.raises(TutorialError, match=r"page\.md, block of line 21: ZeroDivisionError"):
        regenerate(Page.read(path))
    assert "<!-- output -->" not in path.read_text()
    assert not (tmp_path / "images").exists()


def test_a_figure_that_no_block_draws_is_missed(tmp_path: Path) -> None:
    with pytest.raises(TutorialError, match=r"images/drawn\.svg is to come from other\.svg"):
        regenerate(Page.read(write(tmp_path, PAGE.replace("made: line.svg", "made: other.svg"))))


@pytest.mark.parametrize(
    ("command", "said"),
    [("rm -r x", "only esamp commands are run"), ("esamp generate", "ended with 2: esamp: error: no prompt")],
)
def test_commands_are_esamps_and_must_succeed(tmp_path: Path, command: str, said: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(TutorialError, match=said):
        run_page(Page.read(write(tmp_path, f"```sh\n{command}\n```\n")), folder)


def test_a_page_leaves_no_module_and_no_path_behind(tmp_path: Path) -> None:
    before = (Path.cwd(), list(sys.path))
    regenerate(Page.read(write(tmp_path)))
    assert (Path.cwd(), list(sys.path)) == before
    assert "part" not in sys.modules


def test_output_neither_breaks_its_fence_nor_runs_off_the_page() -> None:
    assert fenced("a ``` in it").startswith("````text\n")
    assert max(map(len, fenced("many words " * 40).splitlines())) <= WIDTH
    assert fenced("1\n2\n3", "first 2 lines").splitlines()[1:-1] == ["1", "2", "…"]
    assert fenced("1\n2\n3", "last 2 lines").splitlines()[1:-1] == ["…", "2", "3"]


def test_a_figure_has_no_date() -> None:
    svg = '<?xml?>\n<svg width="1">\n <metadata>\n<dc:date>now</dc:date>\n </metadata>\n <g/>\n</svg>\n'
    assert "now" not in themed(svg)
