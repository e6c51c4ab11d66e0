"""Running untrusted programs: what they cannot do, and what does not count as success."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from esamp.tasks import HumanEval, Problem
from esamp.tasks.execution import Limits, run_program

QUICK = Limits(seconds=2.0)
# A freeze of the machine must not look like a slow program.
PATIENT = Limits(seconds=120.0)


def test_a_program_that_reaches_its_end_has_completed() -> None:
    done = run_program("import sys\nprint('one')\nprint('two', file=sys.stderr)", limits=PATIENT)
    assert (done.completed, done.exit_code, done.stdout, done.stderr) == (True, 0, "one\n", "two\n")


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys\nsys.exit(0)", "ended early with exit code 0"),
        ("import os\nos._exit(0)", "ended early with exit code 0"),
        ("raise SystemExit", "ended early with exit code 0"),
        ("assert 1 == 2, 'one is not two'", "AssertionError: one is not two"),
        ("print(input())", "EOFError: EOF when reading a line"),
        ("def f(", "SyntaxError: '(' was never closed"),
        ("open('large', 'wb').write(bytes(1 << 26))", "OSError: [Errno 27] File too large"),
        ("words = []\nwhile True: words.append('a' * 10**6)", "MemoryError"),
        ("import ctypes\nctypes.string_at(0)", "ended early with exit code"),
    ],
)
def test_leaving_early_is_no_success_and_is_explained(program: str, why: str) -> None:
    done = run_program(program + "\n", limits=PATIENT)
    assert not done.completed
    assert done.why().startswith(why)


def test_an_endless_loop_ends_when_its_time_is_up() -> None:
    done = run_program("while True: pass", limits=QUICK)
    assert (done.completed, done.exit_code, done.why()) == (False, None, "time is up")


def test_a_flood_of_output_is_cut() -> None:
    done = run_program("print('x' * 10_000_000)", limits=Limits(seconds=120.0, output_bytes=1000))
    assert done.completed
    assert done.stdout == "x" * 1000


def test_children_do_not_outlive_the_program() -> None:
    # Few and short-lived by themselves, should the limits fail.
    bomb = "import os, time\nfor _ in range(6):\n    os.fork()\nprint(os.getpgid(0))\ntime.sleep(30)"
    done = run_program(bomb, limits=QUICK)
    assert not done.completed
    read = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _mentions_child(path)]
    assert read == []


def _mentions_child(path: Path) -> bool:
    try:
        return b"isolated_child.py" in path.read_bytes() and os.getppid() != 0 and _is_ours(path.parent)
    except OSError:
        return False


def _is_ours(process: Path) -> bool:
    """Other test runs on this machine may run programs, too: ours are those below this process."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[1]) == os.getpid()


def test_it_finds_an_empty_folder_and_an_empty_environment_and_leaves_nothing(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("SECRET", "hidden")
    done = run_program(
        "import os\nprint(os.listdir('.'), os.environ.get('SECRET'))\nopen('left', 'w').write('x')", limits=PATIENT
    )
    assert done.stdout == "[] None\n"
    assert list(tmp_path.iterdir()) == []


def test_it_has_no_network_where_the_kernel_permits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run_program(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 5)", limits=PATIENT)
    if "no network" not in done.isolation:
        pytest.skip(f"this system isolates by {done.isolation} only")
    assert not done.completed
    assert "Network is unreachable" in done.stderr


def test_threads_are_waited_for() -> None:
    late = "import threading, time\ndef late():\n    time.sleep(0.2)\n    print('late')\n"
    program = late + "threading.Thread(target=late).start()"
    assert run_program(program, limits=PATIENT).stdout == "late\n"


def test_running_code_must_be_allowed() -> None:
    with pytest.raises(ValueError, match=r"allow_code_execution must be True for HumanEval.*not in a sandbox"):
        HumanEval(path="sample")


def test_a_solution_that_exits_before_its_tests_is_wrong() -> None:
    task = HumanEval(path="sample", limit=1, allow_code_execution=True, timeout=120.0)
    (problem,) = task.problems()
    verdict = task.verify(problem, "    raise SystemExit(0)\n")
    assert (verdict.correct, verdict.detail) == (False, "ended early with exit code 0")
    whole = f"```python\ndef {problem.reference['entry_point']}(numbers, threshold):\n    return False\n```"
    assert task.verify(problem, whole).detail == "AssertionError"
    assert isinstance(problem, Problem)
