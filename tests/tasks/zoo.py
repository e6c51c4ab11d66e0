"""Every task with a few problems, and for each a sample that is right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from esamp.tasks import Problem, Task, tasks
from esamp.tasks.dataset import DATA

HERE = Path(__file__).parent / "data"

ARGUMENTS: dict[str, dict[str, Any]] = {
    "aime24": {"path": HERE / "aime.jsonl"},
    "aime25": {"path": HERE / "aime.jsonl"},
    "book": {"limit": 4},
    "closed_lists": {},
    "gpqa_diamond": {"path": HERE / "gpqa.csv"},
    "gsm8k": {"path": "sample", "limit": 20},
    "humaneval": {"path": "sample", "limit": 2, "allow_code_execution": True},
    "keywords": {"limit": 10},
    "livecodebench": {"path": HERE / "livecodebench.jsonl", "allow_code_execution": True},
    "math500": {"path": HERE / "math500.jsonl"},
    "mbpp": {"path": "sample", "limit": 2, "allow_code_execution": True},
    "noveltybench": {"path": "sample", "limit": 10},
    "prompts": {"prompts": ["Tell me a joke.", "Name a colour."]},
    "rhymes": {"limit": 10},
    "svamp": {"path": "sample", "limit": 20},
}


def make(name: str) -> Task:
    return tasks.resolve(name)(**ARGUMENTS[name])


def rows(file: str) -> Iterator[dict[str, Any]]:
    for line in (DATA / file).read_text().splitlines():
        yield json.loads(line)


HUMANEVAL = {row["task_id"]: row["canonical_solution"] for row in rows("humaneval.jsonl")}
MBPP = {f"mbpp/{row['task_id']}": row["code"] for row in rows("mbpp.jsonl")}
LIVECODEBENCH = {
    "livecodebench/sum_a": "import sys\nfor line in sys.stdin:\n    print(sum(map(int, line.split())))\nsys.exit(0)",
    "livecodebench/2727": "class Solution:\n    def pairs(self, a, b):\n        return [(x, b) for x in a]",
}

RIGHT: dict[str, Callable[[Problem], str]] = {
    "aime24": lambda problem: f"So it is \\boxed{{{problem.reference}}}.",
    "aime25": lambda problem: f"The answer is {problem.reference}.",
    "closed_lists": lambda problem: " The " + next(iter(problem.reference.values())).title() + ".\nQ: Name",
    "gpqa_diamond": lambda problem: f"The answer is ({problem.reference}).",
    "gsm8k": lambda problem: f"... #### {problem.reference}",
    "humaneval": lambda problem: HUMANEVAL[problem.id] + "\n\ndef another(): syntax error",
    "keywords": lambda problem: f"I said {', '.join(problem.reference)}s!",
    "livecodebench": lambda problem: f"Here it is:\n```python\n{LIVECODEBENCH[problem.id]}\n```\nIt works.",
    "math500": lambda problem: f"\\boxed{{1}}? No: \\boxed{{{problem.reference}}}",
    "mbpp": lambda problem: f"```python\n{MBPP[problem.id]}\n```",
    "rhymes": lambda problem: f" {problem.reference[-1].upper()}\n",
    "svamp": lambda problem: f"That makes {problem.reference} dollars.",
}
