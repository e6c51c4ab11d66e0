"""Two engines behind one server: the samples of a request learn from each other in one of them."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.vllm.server import Server, started

N, REQUESTS = 4, 6


@pytest.fixture(scope="module")
def server(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    options = ("--dtype=float32", "--enforce-eager", "--max-model-len=256", "--data-parallel-size=2")
    with started(tmp_path_factory.mktemp("server"), *options, model=str(tiny_folder)) as running:
        yield running


def test_every_request_is_one_group_in_one_engine_and_both_engines_work(server: Server, tiny_folder: Path) -> None:
    client = server.client()

    def ask(_: int) -> int:
        answer = client.completions.create(
            model=str(tiny_folder),
            prompt="the sea is wide",
            n=N,
            max_tokens=48,
            extra_body={"ignore_eos": True, "vllm_xargs": {"esamp_beta": 0.5}},
        )
        return len(answer.choices)

    with ThreadPoolExecutor(REQUESTS) as pool:
        assert list(pool.map(ask, range(REQUESTS))) == [N] * REQUESTS
    server.wait_for(lambda: server.metric("esamp_groups_total") >= REQUESTS, f"{REQUESTS} groups")
    # Torn apart, a request would have been a group in either engine.
    assert server.metric("esamp_groups_total") == REQUESTS
    for engine in ("0", "1"):
        assert server.metric("esamp_groups_total", engine=engine) == REQUESTS / 2
