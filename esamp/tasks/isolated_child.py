"""The process that runs untrusted code: gives up what it can, runs the program, says whether it came to its end.

Started as a script by `esamp.tasks.execution`, with the standard library only. In its working folder lies `job.json`:
the program, the limits, and a token that goes into the report pipe if and only if the last line of the program was
reached.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NEW_USER, _NEW_PID, _NEW_NET = 0x10000000, 0x20000000, 0x40000000
_PARENT_DEATH_SIGNAL = 1
_NOBODY = 65534
_MEGABYTE = 1 << 20


def _main() -> None:
    job = json.loads(Path("job.json").read_text(encoding="utf-8"))
    # The program finds its folder empty.
    Path("job.json").unlink()
    report: int = job["report"]
    achieved = [*_become_nobody(), *_leave_namespaces()]
    _die_with_parent()
    if "own process namespace" in achieved:
        _continue_as_first_process()
    achieved += _limit(job, counts_own_processes=len(achieved) > 0)
    os.write(report, (json.dumps(achieved) + "\n").encode())
    _run(job["program"])
    os.write(report, job["token"].encode())
    os._exit(0)


def _run(program: str) -> None:
    """Run the program as `__main__`; return only if it came to its end and all its threads with it."""
    sys.argv = ["program.py"]
    code = 1
    try:
        exec(compile(program, "program.py", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and not thread.daemon:
                thread.join()
        sys.stdout.flush()
        return
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    _flush()
    os._exit(code & 0xFF)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # A program may have closed or replaced them.
        try:
            stream.flush()
        except Exception:
            continue


def _become_nobody() -> list[str]:
    """Root would own every file and be above the limit of processes: run as the user nobody where Python lets us."""
    # An interpreter in root's own home can be read by root only, and would find its library gone.
    folders = [folder for place in (os.__file__, sys.prefix) for folder in Path(place).resolve().parents]
    if os.geteuid() != 0 or not all(folder.stat().st_mode & 0o001 for folder in folders):
        return []
    try:
        os.chown(".", _NOBODY, _NOBODY)
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    except OSError:
        return []
    return ["user nobody"]


def _leave_namespaces() -> list[str]:
    """No network, and processes of its own, where the kernel lets users have that."""
    if sys.platform != "linux":
        return []
    unshare: Callable[[int], Any] = ctypes.CDLL(None).unshare
    if unshare(_NEW_USER | _NEW_NET | _NEW_PID) == 0:
        return ["no network", "own process namespace"]
    return ["no network"] if unshare(_NEW_USER | _NEW_NET) == 0 else []


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _continue_as_first_process() -> None:
    """Fork into the new namespace: when this first process ends, the kernel ends all others there."""
    child = os.fork()
    if child == 0:
        _die_with_parent()
        return
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _limit(job: dict[str, Any], *, counts_own_processes: bool) -> list[str]:
    seconds = job["cpu_seconds"]
    limits = [
        ("cpu time", resource.RLIMIT_CPU, seconds),
        ("memory", resource.RLIMIT_AS, job["memory_mb"] * _MEGABYTE),
        ("file size", resource.RLIMIT_FSIZE, job["file_mb"] * _MEGABYTE),
        ("core dumps", resource.RLIMIT_CORE, 0),
    ]
    # Elsewhere the limit would count all processes of the user, and bar a harmless program from its first thread.
    if counts_own_processes:
        limits.append(("processes", resource.RLIMIT_NPROC, job["processes"]))
    achieved: list[str] = []
    for name, kind, value in limits:
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):
            continue
        achieved.append(f"limited {name}")
    return achieved


if __name__ == "__main__":
    _main()
