"""Comparing mathematical expressions with math-verify, in a process that may hang without harm."""

from __future__ import annotations

import importlib.util
import json
import queue
import re
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from typing_extensions import override

from esamp.checks import check_number
from esamp.tasks.answers import final_answer
from esamp.tasks.base import Problem, Verdict
from esamp.tasks.dataset import DatasetTask

__all__ = ["Comparison", "MathComparer", "MathTask"]

_WORKER = Path(__file__).with_name("math_worker.py")
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Comparison:
    """What came of comparing an answer with the right one.

    Attributes:
        correct: they are equal.
        normal: the answer as a computer algebra system writes it; None where it could not be read.
        detail: why it could not be compared, if so.
    """

    correct: bool
    normal: str | None = None
    detail: str = ""


@final
class MathComparer:
    """Asks a process that stays; one that takes too long is killed, and the next question starts another.

    Args:
        timeout: seconds for one comparison.

    Raises:
        ModuleNotFoundError: math-verify is not installed.
        TypeError: `timeout` is not a number.
        ValueError: `timeout` is not positive.
    """

    def __init__(self, timeout: float = 5.0) -> None:
        self.timeout: float = check_number("timeout", timeout, low=0, low_open=True, hint="seconds for one comparison")
        if importlib.util.find_spec("math_verify") is None:
            raise ModuleNotFoundError('expressions are compared by math-verify: pip install "esamp[tasks]"')
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def compare(self, gold: str, answer: str) -> Comparison:
        """Whether an answer equals the right one. It raises nothing, whatever the answer is."""
        with self._lock:
            try:
                if self._worker is None:
                    self._worker = _Worker()
                return Comparison(**self._worker.ask({"gold": gold, "answer": answer}, self.timeout))
            except (queue.Empty, OSError) as error:
                self.close()
                slow = isinstance(error, queue.Empty)
                return Comparison(False, detail="comparing it took too long" if slow else "comparing it broke down")

    def close(self) -> None:
        """End the process, if there is one."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None


class _Worker:
    """One process, and the thread that reads its lines."""

    def __init__(self) -> None:
        # Isolated: no code of the working folder is imported in place of the library's.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin is not None
        self._questions = self._process.stdin
        self._replies: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._process, self._replies), daemon=True).start()
        self.end = weakref.finalize(self, _end, self._process)
        self._next(_START_SECONDS)

    def ask(self, question: dict[str, str], timeout: float) -> dict[str, Any]:
        """Its reply.

        Raises:
            queue.Empty: there is none in time.
            OSError: the process has ended.
        """
        self._questions.write(json.dumps(question) + "\n")
        self._questions.flush()
        return json.loads(self._next(timeout))

    def _next(self, timeout: float) -> str:
        line = self._replies.get(timeout=timeout)
        if not line:
            raise OSError("the process that compares expressions has ended")
        return line


def _read(process: subprocess.Popen[str], replies: queue.SimpleQueue[str]) -> None:
    assert process.stdout is not None
    try:
        with process.stdout as lines:
            for line in lines:
                replies.put(line)
    finally:
        # Whoever waits for a reply hears that there will be none.
        replies.put("")


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        try:
            process.stdin.close()
        except OSError:
            return  # what was not written before the end is of no use


class MathTask(DatasetTask):
    r"""A data set whose answers are mathematical expressions. `Problem.reference` is the right one, in LaTeX.

    A sample's answer is what `final_answer` finds in it: the last `\boxed{...}` as a rule.

    Args:
        path: a file in the data set's own format (JSON lines, a JSON list, or CSV; gzipped or not); None: the data set
            on the Hugging Face hub, by the package `datasets`.
        template: a YAML file, or the name of a shipped template; None: the task's own.
        start: index of the first problem.
        limit: how many problems; None: all.
        timeout: seconds for one comparison.

    Raises:
        FileNotFoundError: there is no such template.
        ModuleNotFoundError: math-verify is not installed.
        TypeError: a number is not one.
        ValueError: the file is no template, or a number is out of range.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        template: str | Path | None = None,
        start: int = 0,
        limit: int | None = None,
        timeout: float = 5.0,
    ) -> None:
        super().__init__(path, template, start, limit)
        self.comparer: MathComparer = MathComparer(timeout)

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        said = final_answer(self.cut(text))
        if said is None:
            return Verdict(correct=False, detail="no answer in it")
        # The same text needs no algebra; and all right answers have one normal form, that of the data set.
        if _plain(said) == _plain(problem.reference):
            return Verdict(correct=True, answer=problem.reference)
        found = self.comparer.compare(problem.reference, said)
        if found.correct:
            return Verdict(correct=True, answer=problem.reference)
        return Verdict(correct=False, answer=found.normal or _plain(said), detail=found.detail)


def _plain(answer: str) -> str:
    return re.sub(r"\\[,!;: ]|\\(?:left|right)(?![a-zA-Z])|\s|\$", "", answer).replace("dfrac", "frac")
