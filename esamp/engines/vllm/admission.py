"""At the server's door: a request with ESamp is sent to one engine as a whole, and may be refused where that is full.

vLLM spreads the n samples of a request over the engines of a data-parallel server, and siblings on two engines could
not learn from each other; the header `X-data-parallel-rank` keeps them together. And an engine cannot refuse a request
that it has accepted. So both are done where HTTP comes in, as an ASGI middleware of vLLM's server. A group is counted
from the request's arrival until its response has ended, by whatever end.
"""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, final

from esamp.engines.vllm.metrics import count_refused
from esamp.engines.vllm.plugin import CAPACITY, REFUSES, REPLICAS

__all__ = ["Admission", "Room", "groups_of", "replica_of"]

_RANK = b"x-data-parallel-rank"
_SHARED = "shared "

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


@final
class Room:
    """Groups under way, by their keys, and how many there may be.

    Args:
        capacity: as many as the engine has slots.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._requests: Counter[str] = Counter()

    @property
    def groups(self) -> int:
        """Under way now."""
        return len(self._requests)

    def enter(self, keys: Sequence[str]) -> bool:
        """Let a request in, if there is room for those of its groups that are not under way already."""
        if len({*self._requests, *keys}) > self.capacity:
            return False
        self._requests.update(keys)
        return True

    def leave(self, keys: Sequence[str]) -> None:
        """A request that was let in has ended."""
        self._requests.subtract(keys)
        for key in keys:
            if not self._requests[key]:
                del self._requests[key]


def groups_of(body: bytes) -> list[str]:
    """Keys of the groups that a request's body makes: none without ESamp, else one for each prompt, or a shared one.

    >>> groups_of(b'{"prompt": "The sea", "vllm_xargs": {"esamp_beta": 0.5, "esamp_group": "mine"}}')
    ['shared mine']
    """
    if b"esamp_beta" not in body:
        return []
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return []
    extra = asked.get("vllm_xargs") if isinstance(asked, dict) else None
    if not isinstance(extra, Mapping) or "esamp_beta" not in extra:
        return []
    if "esamp_group" in extra:
        return [f"{_SHARED}{extra['esamp_group']}"]
    prompt: Any = asked.get("prompt")
    # A list of token ids is one prompt, a list of texts or of such lists is many.
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return [uuid.uuid4().hex for _ in range(prompts)]


def replica_of(keys: Sequence[str], rooms: Sequence[Room]) -> int:
    """The engine for a request's groups: always the same one for a shared key, else the one with the fewest groups.

    >>> rooms = [Room(8), Room(8)]
    >>> rooms[0].enter(["a"])
    True
    >>> replica_of(["b"], rooms)
    1
    """
    if keys[0].startswith(_SHARED):
        return zlib.crc32(keys[0].encode()) % len(rooms)
    return min(range(len(rooms)), key=lambda replica: rooms[replica].groups)


@final
class Admission:
    """Sends a request on to one engine; answers who finds no room with HTTP 503, and who never will with 400.

    Args:
        app: the server behind it.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._rooms = [Room(int(os.environ[CAPACITY])) for _ in range(int(os.environ.get(REPLICAS, "1")))]
        self._refuses = os.environ.get(REFUSES) == "1"

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One connection, by the rules of ASGI."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body, replay = await _read(receive)
        keys = groups_of(body)
        if not keys:
            await self._app(scope, replay, send)
            return
        replica = _rank_given(scope, len(self._rooms))
        if replica is None:
            replica = replica_of(keys, self._rooms)
        room = self._rooms[replica]
        inside = room.enter(keys)
        if self._refuses and not inside:
            await _refuse(send, len(keys), room.capacity)
            return
        try:
            await self._app(_pinned(scope, replica) if len(self._rooms) > 1 else scope, replay, send)
        finally:
            if inside:
                room.leave(keys)


def _rank_given(scope: Mapping[str, Any], replicas: int) -> int | None:
    """The engine that a router in front has chosen; what is no engine is left to vLLM to say."""
    for name, value in scope.get("headers", ()):
        if name.lower() == _RANK and value.isdigit() and int(value) < replicas:
            return int(value)
    return None


def _pinned(scope: MutableMapping[str, Any], replica: int) -> MutableMapping[str, Any]:
    others = [(name, value) for name, value in scope.get("headers", ()) if name.lower() != _RANK]
    return {**scope, "headers": [*others, (_RANK, str(replica).encode())]}


async def _refuse(send: Send, prompts: int, capacity: int) -> None:
    if prompts > capacity:
        wrong = f"prompt must hold at most {capacity} prompts with ESamp on this server, got {prompts}"
        await _answer(send, 400, "BadRequestError", f"{wrong}; send them in several requests")
        return
    count_refused("no_group")
    full = f"this server's {capacity} groups of ESamp are all under way"
    await _answer(send, 503, "ServiceUnavailable", f"{full}; try again, or leave esamp_beta out")


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body of a request, and what gives it once more to somebody else."""
    messages = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body"):
        messages.append(await receive())
    body = b"".join(message.get("body", b"") for message in messages)
    waiting = iter(messages)

    async def replay() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return body, replay


async def _answer(send: Send, status: int, kind: str, message: str) -> None:
    error = {"message": message, "type": kind, "param": "vllm_xargs", "code": status}
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": status, "headers": headers[: 1 + (status == 503)]})
    await send({"type": "http.response.body", "body": json.dumps({"error": error}).encode()})
