"""The server's door: never more groups than there is room for, and nobody who has left is counted."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from esamp.engines.vllm.admission import Admission, Room, groups_of
from esamp.engines.vllm.plugin import CAPACITY, REFUSES, REPLICAS
from esamp.engines.vllm.serving import Serving
from esamp.engines.vllm.settings import Settings


class Door(RuleBasedStateMachine):
    """Requests come and go; against a list of those that are inside."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(3)
        self.inside: list[list[str]] = []

    @rule(keys=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3))
    def arrive(self, keys: list[str]) -> None:
        wanted = {key for request in [*self.inside, keys] for key in request}
        assert self.room.enter(keys) == (len(wanted) <= 3)
        if len(wanted) <= 3:
            self.inside.append(keys)

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.room.leave(self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1))))

    @invariant()
    def groups_are_those_inside(self) -> None:
        assert self.room.groups == len({key for request in self.inside for key in request}) <= 3


TestDoor = Door.TestCase


@pytest.mark.parametrize(
    ("asked", "groups"),
    [
        ({"prompt": "x"}, 0),
        ({"prompt": "esamp_beta", "vllm_xargs": None}, 0),
        ({"messages": [], "vllm_xargs": {"esamp_beta": 0.5}}, 1),
        ({"prompt": "x", "n": 8, "vllm_xargs": {"esamp_beta": 0.5}}, 1),
        ({"prompt": [1, 2, 3], "vllm_xargs": {"esamp_beta": 0.5}}, 1),
        ({"prompt": [[1, 2], [3]], "vllm_xargs": {"esamp_beta": 0.5}}, 2),
        ({"prompt": ["x", "x", "y"], "vllm_xargs": {"esamp_beta": 0.5}}, 3),
        ({"prompt": ["x", "y"], "vllm_xargs": {"esamp_beta": 0.5, "esamp_group": "g"}}, 1),
    ],
)
def test_groups_of_a_body(asked: dict[str, Any], groups: int) -> None:
    keys = groups_of(json.dumps(asked).encode())
    assert len(set(keys)) == len(keys) == groups


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"esamp_beta",
        b'["esamp_beta"]',
        b'{"vllm_xargs": "esamp_beta"}',
        b"\xff esamp_beta",
        b'{"esamp_beta": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_request_is_left_to_the_server(body: bytes) -> None:
    assert groups_of(body) == []


class Server:
    """Reads its request, waits until it is let go on, and answers, or fails."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.seen: list[bytes] = []
        self.ranks: list[list[bytes]] = []
        self.fails = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        parts = [await receive()]
        while parts[-1].get("more_body"):
            parts.append(await receive())
        self.seen.append(b"".join(part["body"] for part in parts))
        self.ranks.append([value for name, value in scope["headers"] if name == b"x-data-parallel-rank"])
        await self.go_on.wait()
        if self.fails:
            raise RuntimeError("the server has a fault")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


async def post(door: Admission, body: bytes, rank: bytes = b"") -> tuple[int, bytes]:
    """The answer to a body that arrives in two parts, from a client or from a router that has chosen an engine."""
    arriving = [
        {"type": "http.request", "body": body[:5], "more_body": True},
        {"type": "http.request", "body": body[5:]},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return arriving.pop(0) if arriving else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-data-parallel-rank", rank)] if rank else []
    await door({"type": "http", "method": "POST", "headers": headers}, receive, send)
    return sent[0]["status"], sent[1]["body"]


def asked(prompts: int = 1, **more: Any) -> bytes:
    return json.dumps({"prompt": ["x"] * prompts, "vllm_xargs": {"esamp_beta": 0.5, **more}}).encode()


async def a_full_house(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPACITY, "2")
    monkeypatch.setenv(REFUSES, "1")
    server = Server()
    door = Admission(server)
    inside = [asyncio.create_task(post(door, asked())) for _ in range(2)]
    await asyncio.sleep(0)
    status, body = await post(door, asked())
    assert status == 503
    assert "groups of ESamp are all under way" in json.loads(body)["error"]["message"]
    # Who does not want ESamp always gets in.
    plain = asyncio.create_task(post(door, b'{"prompt": "x"}'))
    server.go_on.set()
    assert Counter(status for status, _ in await asyncio.gather(*inside, plain)) == {200: 3}
    assert server.seen.count(asked()) == 2
    assert (await post(door, asked(2)))[0] == 200
    status, body = await post(door, asked(3))
    assert status == 400
    assert "at most 2 prompts" in json.loads(body)["error"]["message"]
    # Who fails gives his place back.
    server.fails = True
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await post(door, asked(2))
    server.fails = False
    assert (await post(door, asked(2)))[0] == 200


def test_who_finds_no_room_is_refused_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(a_full_house(monkeypatch))


async def two_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPACITY, "2")
    monkeypatch.setenv(REPLICAS, "2")
    server = Server()
    door = Admission(server)
    inside = [asyncio.create_task(post(door, asked())) for _ in range(4)]
    await asyncio.sleep(0)
    # Each to the engine with the fewest groups, and all samples of a request together.
    assert server.ranks == [[b"0"], [b"1"], [b"0"], [b"1"]]
    # Nobody is refused here: an engine that is full serves without ESamp.
    more = asyncio.create_task(post(door, asked()))
    plain = asyncio.create_task(post(door, b'{"prompt": "x"}'))
    routed = asyncio.create_task(post(door, asked(), rank=b"1"))
    await asyncio.sleep(0)
    assert server.ranks[4:] == [[b"0"], [], [b"1"]]
    server.go_on.set()
    assert {status for status, _ in await asyncio.gather(*inside, more, plain, routed)} == {200}
    server.ranks.clear()
    for key in ("one", "two", "three", "one", "two", "three"):
        await post(door, asked(esamp_group=key))
    assert server.ranks[:3] == server.ranks[3:]
    assert len({*map(tuple, server.ranks)}) == 2


def test_the_samples_of_a_request_and_of_a_shared_group_go_to_one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(two_engines(monkeypatch))


@pytest.mark.parametrize(
    ("options", "replicas"),
    [
        ([], 1),
        (["--data-parallel-size", "4"], 4),
        (["--data_parallel_size=3"], 3),
        (["-dp", "2", "--port", "8000"], 2),
        (["--data-parallel-size=2", "--data-parallel-external-lb"], 1),
        (["--data-parallel-size=2", "--data-parallel-rank=0"], 1),
    ],
)
def test_a_server_knows_its_engines(options: list[str], replicas: int) -> None:
    serving = Serving("model", Settings(), options=options)
    assert serving.replicas == replicas
    assert serving.environment()[REPLICAS] == str(replicas)
    assert any("middleware" in argument for argument in serving.arguments()) == (replicas > 1)


def test_what_would_tear_samples_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="--data-parallel-hybrid-lb must be left out"):
        Serving("model", Settings(), options=["--data-parallel-size=4", "--data-parallel-hybrid-lb"])
