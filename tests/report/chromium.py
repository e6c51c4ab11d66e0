"""A headless Chromium, spoken to by the DevTools protocol over a pipe: no port, no driver, no library."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 90


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for found in map(shutil.which, names) if found), None)


class Tab:
    """One page, and everything it complained of or asked for."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive, self._buffer, self._number = send, receive, b"", 0
        self.events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; what happens meanwhile is kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (got := self._next()).get("id") != self._number:
            self.events.append(got)
        assert "error" not in got, got
        return got["result"]

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], max(0, deadline - time.monotonic()))
            assert ready, "Chromium does not answer"
            read = os.read(self._receive, 1 << 20)
            assert read, "Chromium is gone"
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, address: str) -> None:
        """Go to a page and wait until it is loaded."""
        # By way of an empty page: an address that differs in its fragment alone would not be loaded again.
        for wanted in ("about:blank", address):
            self("Page.navigate", url=wanted)
            deadline = time.monotonic() + PATIENCE
            while self._state() != [wanted.partition("#")[0], "complete"]:
                assert time.monotonic() < deadline, f"{wanted} does not load"
                time.sleep(0.02)

    def _state(self) -> list[str]:
        found = self("Runtime.evaluate", expression="location.href.split('#')[0] + ' ' + document.readyState")
        return found["result"].get("value", "").split(" ")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """Console messages, exceptions and violations of the policy."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in self.events if event["method"] in kinds]

    @property
    def requests(self) -> list[str]:
        """Addresses that the pages asked for, but for what stands in the page itself."""
        asked = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith(("data:", "about:"))]


@contextmanager
def chromium(binary: str, folder: Path) -> Iterator[Tab]:
    """A browser with a profile of its own, ended by its process id."""
    to_browser, from_us = os.pipe()
    to_us, from_browser = os.pipe()
    flags = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-extensions --remote-debugging-pipe"
    # The protocol wants the pipe's ends at 3 and 4, whatever numbers they have here.
    command = f'exec "$0" {flags} --user-data-dir="$1" 3<&{to_browser} 4>&{from_browser}'
    process = subprocess.Popen(
        ["bash", "-c", command, binary, str(folder)],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Tab(from_us, to_us)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)
        os.close(from_us)
        os.close(to_us)
