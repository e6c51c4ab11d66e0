"""A server of `esamp serve` in a process of its own, and what its `/metrics` say."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai

GROUPS, LANES = 4, 8
MODEL = "smollm2-135m"
_ROOT = Path(__file__).parents[2]
_START = 240.0


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=120)

    def async_client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=120)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of that name which bear these labels; 0 where there are none yet."""
        found = 0.0
        for line in self.get("/metrics").splitlines():
            sample = re.fullmatch(rf"{re.escape(name)}(?:{{(.*)}})? (\S+)", line)
            if sample and all(f'{label}="{value}"' in (sample[1] or "") for label, value in labels.items()):
                found += float(sample[2])
        return found

    def wait_for(self, holds: Callable[[], bool], what: str) -> None:
        """Until it holds: an engine hears of an abort, and Prometheus of a step, a little later."""
        for _ in range(300):
            if holds():
                return
            time.sleep(0.1)
        raise AssertionError(f"never: {what}\n{self.log.read_text()[-3000:]}")


@contextmanager
def started(folder: Path, *options: str, model: str = MODEL) -> Generator[Server]:
    """A server on a free port of the loopback, until the context ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "server.log"
    command = [sys.executable, "-m", "esamp", "serve", model, "--host=127.0.0.1", f"--port={port}", *options]
    # The metrics' folder is the server's own, and so is the choice of process; the tests' variables are not for it.
    environment = {name: value for name, value in os.environ.items() if name != "VLLM_ENABLE_V1_MULTIPROCESSING"}
    environment |= {"PYTHONPATH": str(_ROOT), "VLLM_LOGGING_LEVEL": "INFO", "VLLM_CPU_KVCACHE_SPACE": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=folder)
    server = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        _wait(server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(server: Server) -> None:
    until = time.monotonic() + _START
    while time.monotonic() < until and server.process.poll() is None:
        try:
            server.get("/health")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise AssertionError(f"the server did not start:\n{server.log.read_text()[-5000:]}")
