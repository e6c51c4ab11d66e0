"""Every public name is shown in use, in an example that runs: in a docstring, or in a tutorial."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_reference import public_names
from tools.tutorials import Page

_PARSER = doctest.DocTestParser()

# What lies beneath the sampler may change with any version, a kernel is shown by the reference beside it, and vLLM
# and Ray are not here.
_BENEATH = {
    *("generation", "inside_generate", "kernels", "on_vllm", "ray_job", "shortlist", "step", "strength"),
    *("RowFilters", "Temperatures", "filters_of_rows"),
}


def names_used(code: str) -> set[str]:
    """Names that code reads and does not make itself: what is imported and never used does not count."""
    found = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    made = {node.id for node in found if isinstance(node.ctx, ast.Store)}
    arguments = {node.arg for node in ast.walk(ast.parse(code)) if isinstance(node, ast.arg)}
    return {node.id for node in found} - made - arguments


def docstrings() -> Iterator[tuple[str, str]]:
    """(name, docstring) of everything in the library that has one; a method's goes by its class."""
    for path in sorted((ROOT / "esamp").rglob("*.py")):
        module = ast.parse(path.read_text("utf-8"))
        yield "", ast.get_docstring(module) or ""
        for outer in module.body:
            if isinstance(outer, ast.ClassDef | ast.FunctionDef):
                for node in (outer, *(outer.body if isinstance(outer, ast.ClassDef) else ())):
                    if isinstance(node, ast.ClassDef | ast.FunctionDef):
                        yield outer.name, ast.get_docstring(node) or ""


@pytest.fixture(scope="module")
def shown() -> set[str]:
    """What has examples of its own, and what those of others use."""
    names = set[str]()
    for name, text in docstrings():
        examples = _PARSER.get_examples(text)
        if examples:
            names |= {name} | names_used("".join(example.source for example in examples))
    for path in (ROOT / "docs/tutorials").glob("*.md"):
        names |= names_used("\n".join(block.text for block in Page.read(path).blocks if block.language == "python"))
    return names


def test_every_public_name_is_shown_in_use(shown: set[str]) -> None:
    public = {path.rpartition(".")[2] for path, _ in public_names() if _BENEATH.isdisjoint(path.split("."))}
    assert len(public) > 200
    assert sorted(public - shown) == []


def test_an_import_alone_shows_nothing() -> None:
    assert names_used("from esamp import Bank, Filters\nkept = Filters()") == {"Filters"}
    assert names_used("reward = lambda score: score\nreward(1)") == set()
