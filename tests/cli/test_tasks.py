from __future__ import annotations

from esamp.tasks import tasks


def test_every_registered_task_has_a_line_that_says_where_its_data_is(esamp) -> None:
    got = esamp("tasks")
    assert (got.code, got.err) == (0, "")
    lines = {line.split()[0]: line for line in got.out.splitlines() if line}
    assert set(tasks.names()) <= set(lines)
    assert "[the hub: openai/gsm8k; " in lines["gsm8k"] and "rows that ship with the library]" in lines["gsm8k"]
    assert "[the hub: Idavidrein/gpqa]" in lines["gpqa_diamond"]
    assert "[ships with the library, or your own file]" in lines["rhymes"]
    assert "[your own prompts]" in lines["prompts"]


def test_a_task_by_name_shows_its_arguments(esamp) -> None:
    got = esamp("tasks", "keywords")
    assert got.code == 0
    assert "KeywordSentences(path:" in got.out and "longest: words that a sentence may have" in got.out
    wrong = esamp("tasks", "keyword")
    assert wrong.code == 2 and "keywords" in wrong.err
