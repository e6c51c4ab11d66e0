"""Files that are not in a data set's format: the error names the file, the line and the key."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from esamp.tasks import (
    GSM8K,
    SVAMP,
    BookContinuations,
    ClosedLists,
    KeywordSentences,
    LiveCodeBench,
    NoveltyBench,
    Problem,
    PromptsTask,
    tasks,
)
from esamp.tasks.contest_tests import read_tests
from tests.tasks import zoo

ROW = {"question": "How many?", "answer": "#### 3"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"question": "How many?"}', r"a.jsonl, line 1: 'answer' is missing; it has the keys 'question'"),
        ("a.jsonl", json.dumps(ROW) + "\n\n{", r"a.jsonl, line 3 is no JSON"),
        ("a.jsonl", "[1]", r"a.jsonl, line 1 must hold an object"),
        ("a.jsonl", '{"question": [], "answer": "#### 3"}', r"a.jsonl, line 1: 'question' must hold text, got \[\]"),
        ("a.jsonl", '{"question": "?", "answer": "3"}', r"a.jsonl, line 1: 'answer' must end with ####"),
        ("a.json", "{}", r"a.json must hold a list of objects"),
        ("a.csv", "question,answer\n?,#### few\n", r"a.csv, line 2: 'answer' must hold a number, got 'few'"),
        ("a.txt", "", r"path must have one of the suffixes"),
        ("a.jsonl.gz", "plain", r"a.jsonl.gz cannot be read"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        GSM8K(path=tmp_path / name).problems()


@pytest.mark.parametrize(
    ("task", "text", "said"),
    [
        (ClosedLists, "{", r"lists is no JSON"),
        (ClosedLists, "[]", r"lists must hold an object \{category: \[answer, ...\]\}, got \[\]"),
        (ClosedLists, '{"a bird": []}', r"lists, 'a bird' must hold a list of answers, got \[\]"),
        (ClosedLists, '{"a bird": ["robin", 3]}', r"lists, 'a bird' must hold texts, or lists of spellings, got 3"),
        (KeywordSentences, "lamp\n\ntwo words\n", r"lists, line 3 must hold one word .* got 'two words'"),
        (KeywordSentences, "lamp\n", r"words must be at most 1, as many as lists has, got 3"),
        (BookContinuations, "a short book", r"words must be below the 3 words of lists, got 100"),
    ],
)
def test_a_list_or_a_book_that_does_not_do_is_named(tmp_path: Path, task: Any, text: str, said: str) -> None:
    (tmp_path / "lists").write_text(text)
    with pytest.raises(ValueError, match=said):
        task(tmp_path / "lists").problems()


@pytest.mark.parametrize("task", [ClosedLists, KeywordSentences, BookContinuations, SVAMP])
def test_a_file_that_is_not_there_is_named(task: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.jsonl"):
        task("no.jsonl").problems()


def test_a_book_is_text_and_its_passages_lie_in_it(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_bytes(b"caf\xe9 " * 20)
    with pytest.raises(ValueError, match=r"book.txt is no UTF-8"):
        BookContinuations(tmp_path / "book.txt", words=2).problems()
    (tmp_path / "book.txt").write_text("one two three four five")
    book = BookContinuations(tmp_path / "book.txt", words=2, positions=[1])
    assert [(problem.prompt, problem.reference) for problem in book.problems()] == [("two three", "four five")]
    with pytest.raises(ValueError, match=r"positions must be at most 2 in book.txt, got 3"):
        BookContinuations(tmp_path / "book.txt", words=2, positions=[3]).problems()


@pytest.mark.parametrize(
    ("prompts", "error", "said"),
    [
        ("Tell me.", TypeError, r"prompts must be a list, got 'Tell me.'"),
        ([], ValueError, r"prompts must hold at least one, got none"),
        (["a", "b", "a"], ValueError, r"prompts must differ, and 'a' stands there twice"),
    ],
)
def test_prompts_of_ones_own_are_checked(prompts: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        PromptsTask(prompts)


def test_every_format_gives_the_same_problems(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([ROW]))
    (tmp_path / "a.csv").write_text("question,answer\nHow many?,#### 3\n")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROW).encode()))
    found = [GSM8K(path=tmp_path / name).problems() for name in ("a.json", "a.csv", "a.jsonl.gz")]
    assert found[0] == found[1] == found[2]
    assert found[0][0].reference == "3"


def test_a_file_that_is_not_there_and_a_hub_that_cannot_be_reached_name_the_ways_out(monkeypatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"no.jsonl"):
        SVAMP(path="no.jsonl").problems()
    datasets = pytest.importorskip("datasets")

    def fails(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", fails)
    with pytest.raises(FileNotFoundError, match=r'ChilleD/SVAMP .*no route.*path=FILE .* path="sample" .* hub can be'):
        SVAMP().problems()


def test_the_hub_is_asked_for_the_right_split(monkeypatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked: list[Any] = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: asked.append((a, k)) or [ROW])
    assert len(GSM8K().problems()) == 1
    assert asked == [(("openai/gsm8k", "main"), {"split": "test"})]


def test_what_has_no_split_that_loads_without_its_code_is_loaded_by_its_files(monkeypatch) -> None:
    datasets = pytest.importorskip("datasets")
    tests = json.dumps([{"input": "1", "output": "1", "testtype": "stdin"}])
    row = {"question_id": "1", "question_content": "Echo.", "public_test_cases": tests}
    asked: list[Any] = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: asked.append((a, k)) or [row])
    assert len(LiveCodeBench(allow_code_execution=True).problems()) == 1
    ((kind,), how) = asked[0]
    assert (kind, how["split"]) == ("json", "train")
    assert how["data_files"][0] == "hf://datasets/livecodebench/code_generation_lite/test.jsonl"


def test_a_window_has_the_problems_of_the_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text((json.dumps(ROW) + "\n") * 4)
    whole = GSM8K(path=file).problems()
    assert len({problem.id for problem in whole}) == 4
    assert GSM8K(path=file, start=2, limit=1).problems() == whole[2:3]
    with pytest.raises(ValueError, match="start must be below the number of problems, got 9"):
        GSM8K(path=file, start=9).problems()


def test_templates_are_data(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text('prompt: "{{question}} {braces} \\\\boxed{}"\nchat: true\nsystem: Be brief.\nstop: [END]\n')
    task = GSM8K(path="sample", template=own, limit=1)
    (problem,) = task.problems()
    assert isinstance(problem.prompt, list)
    assert problem.prompt[0] == {"role": "system", "content": "Be brief."}
    assert problem.prompt[1]["content"].endswith("a week? {braces} \\boxed{}")
    assert task.verify(problem, "540 END 7").correct
    own.write_text('prompt: "{{passage}}"')
    with pytest.raises(ValueError, match=r"own.yaml: no field is called \{\{passage\}\}; there are \{\{question\}\}"):
        GSM8K(path="sample", template=own).problems()
    own.write_text("promt: x")
    with pytest.raises(ValueError, match="must hold the key 'prompt'"):
        GSM8K(path="sample", template=own)
    with pytest.raises(ValueError, match="template must be one of competition, few_shot, zero_shot, got 'few_shots'"):
        GSM8K(path="sample", template="few_shots")


def test_examples_of_a_chat_are_turns_of_it(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        'prompt: "{{question}}"\nchat: true\nanswer: "It is {{sum}}."\nexamples: [{question: "1 + 1?", sum: 2}]\n'
    )
    (problem,) = GSM8K(path="sample", template=own, limit=1).problems()
    assert [(turn["role"], turn["content"][:7]) for turn in problem.prompt] == [
        ("user", "1 + 1?"),
        ("assistant", "It is 2"),
        ("user", "James d"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt: [", r"own.yaml' is no YAML"),
        ("prompt: x\nstop: END", r"own.yaml: stop must be a list of texts, got 'END'"),
        ("prompt: x\nsystem: [1]", r"own.yaml: system must be a text, got \[1\]"),
        ("prompt: x\nexamples: [one]", r"own.yaml: examples must be a list of objects .* got \['one'\]"),
        ("prompt: x\npromt: y", r"a key of the template '.*own.yaml' must be one of .*did you mean 'prompt'"),
    ],
)
def test_a_template_that_is_none_is_told_why(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        GSM8K(path="sample", template=tmp_path / "own.yaml")


def test_a_template_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no file 'no.yaml'"):
        GSM8K(path="sample", template="no.yaml")


def test_packed_contest_tests_are_read_and_never_unpickled() -> None:
    def pack(value: Any) -> str:
        return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()

    plain = json.dumps([{"input": "1", "output": "2"}])
    assert read_tests(pack(plain)) == read_tests(plain)
    with pytest.raises(ValueError, match="packed tests must be one text"):
        read_tests(pack(Path))
    with pytest.raises(ValueError, match="neither JSON nor base64"):
        read_tests("%%%")


def test_every_task_has_a_template_and_a_docstring() -> None:
    assert set(zoo.ARGUMENTS) == set(tasks.names())
    for name in tasks.names():
        assert tasks.resolve(name).__doc__


def test_open_ended_samples_are_neither_right_nor_wrong() -> None:
    task = NoveltyBench(path="sample")
    assert task.chat
    verdict = task.verify(task.problems()[0], "A story.")
    assert (verdict.correct, verdict.answer) == (None, None)


@pytest.mark.parametrize(
    ("category", "text", "answer"),
    [
        ("a color", " Grey.", "gray"),
        ("a fruit", " strawberries\nQ:", "strawberry"),
        ("a fruit", "passion fruit", "passionfruit"),
        ("a country in Europe", "The Netherlands, of course", "netherlands"),
        ("a country in Europe", "Holland", "netherlands"),
        ("a chemical element", "Neodymium", "neodymium"),
        ("an animal", "wolves", "wolf"),
        ("an animal", "gray unicorn", None),
    ],
)
def test_closed_lists_count_names_and_not_spellings(category: str, text: str, answer: str | None) -> None:
    task = ClosedLists()
    problem = next(each for each in task.problems() if each.id == f"closed_lists/{'-'.join(category.split())}")
    verdict = task.verify(problem, text)
    assert verdict.correct is (answer is not None)
    assert verdict.answer == (answer or "gray unicorn")
    assert isinstance(problem, Problem)
