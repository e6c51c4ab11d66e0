"""Running code that a model wrote, in a process that is isolated as far as the system permits.

This is isolation, not a sandbox. It keeps accidents in: endless loops, floods of output and of memory, forks, a stray
`rm`. It does not hold a program that wants to get out: that can read what the user can read, and attack the kernel.
Untrusted models belong into a container or a virtual machine of their own.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from esamp.checks import check_flag, check_number

__all__ = ["Execution", "Limits", "check_allowed", "run_program"]

_CHILD = Path(__file__).with_name("isolated_child.py")
_CHUNK = 1 << 16
_REPORT_BYTES = 1 << 12
_REAP_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Attributes:
        seconds: wall-clock time.
        memory_mb: address space.
        output_bytes: of stdout and of stderr that are kept; the rest is read and dropped.
        file_mb: size of one file that it writes.
        processes: threads count as such; where the kernel counts them for this program alone.
    """

    seconds: float = 10.0
    memory_mb: int = 1024
    output_bytes: int = 1 << 20
    file_mb: int = 16
    processes: int = 32


@dataclass(frozen=True)
class Execution:
    """What became of a program.

    Attributes:
        completed: its last line was reached; leaving early, even with exit code 0, does not count.
        exit_code: 0 where it ended well; 128 + n or -n where signal n ended it; None where its time was up.
        stdout: what it printed, up to the limit.
        stderr: the same.
        isolation: what could be had on this system, such as "no network" or "limited memory".
    """

    completed: bool
    exit_code: int | None
    stdout: str
    stderr: str
    isolation: tuple[str, ...] = ()

    def why(self) -> str:
        """Why it did not come to its end, in a few words."""
        if self.exit_code is None:
            return "time is up"
        last = self.stderr.strip().rpartition("\n")[2].strip()
        return last[:200] or f"ended early with exit code {self.exit_code}"


def check_allowed(task: str, allow_code_execution: bool, seconds: float) -> Limits:
    """The limits of a task that runs code, if its user has agreed to that.

    Raises:
        TypeError: `allow_code_execution` is no flag, or `seconds` is not a number.
        ValueError: the user has not agreed, `seconds` is not positive, or the system has no process groups.
    """
    if not check_flag("allow_code_execution", allow_code_execution):
        raise ValueError(
            f"allow_code_execution must be True for {task}, got False: it runs programs that a model wrote, "
            "isolated but not in a sandbox; set allow_code_execution=True (--allow-code-execution) to run them"
        )
    if os.name != "posix":
        raise ValueError(
            f"{task} runs code with process groups and resource limits, and {sys.platform} has none; use Linux"
        )
    return Limits(seconds=check_number("timeout", seconds, low=0, low_open=True, hint="seconds for one program"))


def run_program(program: str, stdin: str = "", limits: Limits | None = None) -> Execution:
    r"""Run a Python program in a process, process group and folder of its own, without environment.

    Beside the limits it gets no network and no sight of other processes where the kernel permits; as root it runs as
    the user nobody. All its processes are killed when it ends, or when its time is up.

    Args:
        program: source text; it runs as `__main__`.
        stdin: what it can read there.
        limits: None: the defaults.

    Examples:
        >>> run_program("print(6 * 7)").stdout
        '42\n'
    """
    limits = Limits() if limits is None else limits
    token = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(prefix="esamp-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as fed,
    ):
        fed.write(stdin.encode(errors="replace"))
        fed.seek(0)
        report, write_report = os.pipe()
        job = asdict(limits) | {"cpu_seconds": int(limits.seconds) + 1, "report": write_report, "token": token}
        # Lone surrogates are no text that a file can hold.
        source = program.encode(errors="replace").decode()
        Path(folder, "job.json").write_text(json.dumps(job | {"program": source}), encoding="utf-8")
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-B", str(_CHILD)],
                cwd=folder,
                env={},
                stdin=fed,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[write_report],
                start_new_session=True,
            )
        finally:
            os.close(write_report)
        with process, os.fdopen(report, "rb") as reports:
            return _watch(process, reports, token, limits)


def _watch(process: subprocess.Popen[bytes], reports: IO[bytes], token: str, limits: Limits) -> Execution:
    """Read what the process says until it is done or its time is up, and end all of its group."""
    assert process.stdout is not None
    assert process.stderr is not None
    sizes = {process.stdout: limits.output_bytes, process.stderr: limits.output_bytes, reports: _REPORT_BYTES}
    kept = {stream: bytearray() for stream in sizes}
    deadline = time.monotonic() + limits.seconds
    with selectors.DefaultSelector() as selector:
        for stream in sizes:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                stream: IO[bytes] = key.fileobj  # pyright: ignore[reportAssignmentType]  (what was registered)
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(stream)
                kept[stream] += chunk[: sizes[stream] - len(kept[stream])]
        in_time = not selector.get_map()
    # Before the process is reaped: until then its number, and with it the group's, is nobody else's.
    os.killpg(process.pid, signal.SIGKILL)
    code = process.wait(_REAP_SECONDS)
    isolation, _, ended = kept[reports].decode(errors="replace").partition("\n")
    completed = ended == token and code == 0
    return Execution(
        completed=completed,
        exit_code=code if in_time or completed else None,
        stdout=kept[process.stdout].decode(errors="replace"),
        stderr=kept[process.stderr].decode(errors="replace"),
        isolation=tuple(json.loads(isolation)) if isolation else (),
    )
