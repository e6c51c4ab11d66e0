"""LiveCodeBench: problems of programming contests, with tests on input and output or on a function."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, final

from typing_extensions import override

from esamp.tasks.base import Problem, Verdict, tasks
from esamp.tasks.code import CodeTask, code_block, normal_code
from esamp.tasks.contest_tests import ContestTest, read_tests
from esamp.tasks.execution import run_program
from esamp.tasks.hub import Hub
from esamp.tasks.rows import Row

__all__ = ["LiveCodeBench"]

# The function is called in the program's own process; its result comes back behind a mark that no print hits by chance.
_CALL = """
import json as _json, sys as _sys
_given = [_json.loads(_line) for _line in _sys.stdin.read().split("\\n") if _line.strip()]
_found = (Solution() if "Solution" in globals() else _sys.modules["__main__"]).{name}(*_given)
print("\\n{mark}" + _json.dumps(_found))
"""
_PRELUDE = "from typing import *\n"


@tasks.register("livecodebench")
@final
class LiveCodeBench(CodeTask):
    """Contest problems (Jain et al. 2024), right if every public and private test passes; `timeout` is for one test.

    From the hub: release 5. Rows: `question_id`, `question_content`, `starter_code`, `public_test_cases` and, where
    they are there, `private_test_cases` and `metadata`, as in livecodebench/code_generation_lite. Private tests are
    packed as a pickle of one text; that text is read without unpickling anything.
    """

    family = "livecodebench"
    hub: ClassVar[Hub] = Hub(
        "livecodebench/code_generation_lite", files=tuple(f"test{part}.jsonl" for part in ("", 2, 3, 4, 5))
    )

    @override
    def problem(self, row: Row) -> Problem:
        starter = str(row.values.get("starter_code") or "").strip()
        how = f"Complete this:\n\n```python\n{starter}\n```" if starter else "Read from stdin and print to stdout."
        fields = {"question": row.text("question_content").strip(), "how": how, "starter_code": starter}
        tests = [row.text(key) for key in ("public_test_cases", "private_test_cases") if row.values.get(key)]
        try:
            # They are kept as they are, packed: unpacked they are a hundred times the size.
            count = sum(len(read_tests(each)) for each in tests)
            name = json.loads(str(row.values.get("metadata") or "{}")).get("func_name")
        except (ValueError, AttributeError) as error:
            raise row.error(f"'public_test_cases', 'private_test_cases' and 'metadata': {error}") from error
        if not count or (starter and not name):
            raise row.error(
                "'public_test_cases' must hold tests, and 'metadata' the 'func_name' where there is starter code"
            )
        reference = {"tests": tests, "function": name if starter else None}
        return Problem(f"livecodebench/{row.text('question_id')}", self.template.render(fields), reference)

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        code = code_block(text)
        if code is None:
            code = self.cut(text)
        function, answer = problem.reference["function"], normal_code(code)
        cases = [case for packed in problem.reference["tests"] for case in read_tests(packed)]
        for index, case in enumerate(cases):
            why = self._wrong(code, function, case)
            if why:
                return Verdict(False, answer, f"test {index} of {len(cases)}: {why}")
        return Verdict(True, answer)

    def _wrong(self, code: str, function: str | None, case: ContestTest) -> str:
        """Why a test fails; "" if it passes."""
        mark = secrets.token_hex(16)
        call = "" if function is None else _CALL.format(name=function, mark=mark)
        limits = replace(self.limits, output_bytes=self.limits.output_bytes + 2 * len(case.wanted))
        done = run_program(f"{_PRELUDE}{code}\n{call}", case.given, limits)
        # A program may leave by sys.exit() when it has printed all; a function must have returned.
        if done.exit_code != 0:
            return done.why()
        if function is None:
            return "" if _lines(done.stdout) == _lines(case.wanted) else "another output"
        _, marked, found = done.stdout.rpartition(mark)
        if not marked:
            return done.why()
        return "" if _loaded(found) == _loaded(case.wanted) else "another result"


def _lines(output: str) -> list[list[str | float]]:
    """Lines as words, numbers by value: `1.0` and `1.00` are one, and spaces at a line's end are nothing."""
    return [[_word(word) for word in line.split()] for line in output.strip().split("\n")]


def _word(word: str) -> str | float:
    with suppress(ValueError):
        return float(word) if "." in word else word
    return word


def _loaded(text: str) -> Any:
    with suppress(json.JSONDecodeError):
        return json.loads(text)
    return text.strip()
