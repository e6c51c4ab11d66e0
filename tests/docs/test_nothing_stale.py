"""What the pages name is there: commands and their options, files, links, versions, numbers."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

import esamp
from esamp.cli.study_file import read_study
from tests.docs.pages import ROOT, code, expanded, pages
from tools.pages import PAGES
from tools.pages.command_line import commands, help_of
from tools.pages.configuration import STUDY_KEYS

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", flags=re.MULTILINE)
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w.-]*")
_REPOSITORY = ("esamp", "docs", "tests", "studies", "benchmarks", "tools", ".ci")
# Commands that are not ours: what they take is not for us to say.
_OTHERS = re.compile(r"^(?:[A-Z_]+=\S+ )*(pip|torchrun|make|git|pytest|python -m (?!esamp|tools)|curl|vllm|uv)\b")
# vLLM's own, which `esamp serve` hands over.
_VLLMS = frozenset(
    {"--api-server-count", "--dtype", "--generation-config", "--logits-processors", "--max-model-len", "--port"}
    | {"--data-parallel-size", "--data-parallel-external-lb", "--data-parallel-hybrid-lb"}
    | {"--tensor-parallel-size", "--worker-extension-cls"}
)
_SCRIPT = re.compile(r"\bpython (\S+\.py)\b")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def options_of(words: tuple[str, ...]) -> frozenset[str]:
    """Options of a command, with hyphens."""
    return frozenset(option.replace("_", "-") for option in _OPTION.findall(help_of(words)))


def known(option: str, offered: frozenset[str]) -> bool:
    """Also an option of a part (`--distiller.rank`), and what stands for many (`--trainer.max_epochs`)."""
    option = option.removeprefix("--sampler.") if option.startswith("--sampler.") else option[2:]
    spelled = f"--{option.replace('_', '-')}"
    return spelled in offered or f"--{option.partition('.')[0].replace('_', '-')}" in offered or option == "help"


@pytest.mark.skipif("sys.version_info >= (3, 13)", reason="argparse spells its help differently from 3.13 on")
@pytest.mark.parametrize("page", PAGES)
def test_what_is_made_from_the_code_is_what_the_code_makes(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == PAGES[page](), "stale: run `make pages`"


@pytest.mark.parametrize("page", pages(), ids=name)
def test_options_that_are_named_exist(page: Path) -> None:
    shown = code(page)
    others = {option for each in shown if _OTHERS.match(each) for option in _OPTION.findall(each)}
    every = _VLLMS.union(others, *(options_of(words) for words in commands()))
    for each in shown:
        if not _OTHERS.match(each):
            for option in _OPTION.findall(each):
                assert known(option, offered_by(each, every)), f"{each!r} names {option}, which there is not"


def offered_by(shown: str, every: frozenset[str]) -> frozenset[str]:
    """Options of the command of ours that is shown; all that there are where an option stands alone."""
    if script := _SCRIPT.search(shown):
        return frozenset(_OPTION.findall((ROOT / script[1]).read_text("utf-8")))
    command = re.search(r"\besamp ((?:[a-z]+ ?)+)", shown)
    words = tuple(command[1].split()) if command else ()
    chosen = max((each for each in commands() if each == words[: len(each)]), key=len)
    return options_of(chosen) | (_VLLMS if chosen == ("serve",) else frozenset()) if chosen else every


def test_an_option_that_does_not_exist_is_noticed() -> None:
    offered = options_of(("generate",))
    assert known("--distiller.rank", offered) and known("--max-new-tokens", offered)
    assert not known("--max-tokens", offered) and not known("--tile", offered)


@pytest.mark.parametrize("page", pages(), ids=name)
def test_commands_that_are_named_exist(page: Path) -> None:
    first = {words[0] for words in commands() if words}
    for shown in code(page):
        if found := re.match(r"(?:[A-Z_]+=\S+ )*esamp ([a-z]+)\b", shown):
            assert found[1] in first, shown


@pytest.mark.parametrize("page", pages(), ids=name)
def test_files_that_are_named_exist(page: Path) -> None:
    for shown in code(page):
        for word in shown.split():
            path = word.strip(",;:()'\"")
            if path.partition("/")[0] in _REPOSITORY and "/" in path and not re.search(r"[<>{}*]", path):
                assert (ROOT / path).exists() or (ROOT / f"{path}.py").exists(), f"{shown!r} names {path}"


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)):
        path, _, fragment = target.partition("#")
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), target
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if fragment and there.suffix == ".md" and not fragment.startswith("esamp."):
            headings = {slug(heading) for heading in _HEADING.findall(expanded(there))}
            assert fragment in headings, target


def slug(heading: str) -> str:
    """The anchor of a heading, as Python-Markdown makes it."""
    words = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
    return re.sub(r"[-\s]+", "-", words)


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project["version"] == esamp.__version__ == str(citation["version"])


def test_every_key_of_a_study_is_described(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("no such key: 1\n")
    with pytest.raises(ValueError, match="no such key") as refused:
        read_study(str(study))
    accepted = re.search(r"one of (.+?)(?:,? got|$)", str(refused.value))
    assert accepted is not None, refused.value
    assert set(re.findall(r"[a-z_]+", accepted[1])) - {"or"} == set(STUDY_KEYS)


def test_the_overheads_of_the_readme_are_those_of_the_records() -> None:
    table = (ROOT / "README.md").read_text("utf-8").split("| distiller | 1 × 1 |")[1].split("\n\n")[0]
    rows = {
        "recursive least squares": "recursive_least_squares",
        "low-rank": "low_rank",
        "the paper's MLP": "mlp",
    }
    records = (ROOT / "docs/results/speed/overhead.md").read_text("utf-8")
    for said, distiller in rows.items():
        (line,) = [line for line in table.splitlines() if line.startswith(f"| {said}")]
        measured = re.findall(rf"135m, float32 \| {re.escape(distiller)} \|[^|]*\|[^|]*\| ([^|]*) \|", records)
        wanted = [float(number) for cell in measured for number in re.findall(r"([-+][\d.]+)%", cell)]
        shown = [float(number) for number in re.findall(r"-?\d+\.\d", line.replace("−", "-"))]
        assert shown == pytest.approx(wanted, abs=0.051)


def test_what_stands_beside_the_paper_stands_on_our_pages() -> None:
    rows = [line for line in (ROOT / "docs/paper.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    here = [row.rsplit("|", 2)[1] for row in rows]
    looked_up = 0
    source = ""
    for cell in here:
        source = next((target for target in _LINK.findall(cell)), source)
        for number in re.findall(r"[-+]?\d+\.\d{2,}%?|[-+]\d+\.\d%", cell):
            if number not in ("0.25",):
                assert number in expanded(ROOT / "docs" / source), (number, source)
                looked_up += 1
    assert looked_up > 15


def test_every_room_of_the_library_is_on_the_plan() -> None:
    plan = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## The house")[1].split("\n## ")[0]
    rooms = [path for path in (ROOT / "esamp").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    named = {word.removeprefix("esamp/").split("/")[0] for word in re.findall(r"`([^`]+)`", plan)}
    assert len(rooms) > 35
    assert sorted(room.name for room in rooms if room.name not in named | {"__init__.py", "__main__.py"}) == []
