"""ESamp over HTTP, as a client of the OpenAI API meets it: one server, which must survive everything here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.vllm.server import GROUPS, LANES, MODEL, Server, started

PROMPT = "The sea is"
MESSAGES: list[Any] = [{"role": "user", "content": "Name a dish I have never heard of."}]
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    options = ("--dtype=float32", "--enforce-eager", "--max-model-len=512", "--when-full=refuse")
    with started(
        tmp_path_factory.mktemp("server"), *options, f"--max-groups={GROUPS}", f"--max-lanes={LANES}"
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def survives(server: Server) -> Generator[None]:
    """After every test the server answers, and nobody is left in its groups."""
    yield
    assert server.process.poll() is None, server.log.read_text()[-3000:]
    assert server.client().completions.create(model=MODEL, prompt="x", max_tokens=1).choices
    server.wait_for(lambda: server.metric("esamp_groups_live") == 0, "all groups have ended")


def asked(beta: float = 0.5, **more: Any) -> dict[str, Any]:
    """What goes into a request to switch ESamp on."""
    return {"min_p": 0.05, "vllm_xargs": {"esamp_beta": beta, **more}}


def complete(server: Server, n: int = 1, tokens: int = 8, body: dict[str, Any] | None = None, **more: Any) -> Any:
    return server.client().completions.create(
        model=MODEL, prompt=PROMPT, n=n, max_tokens=tokens, extra_body=body or {}, **more
    )


def texts(response: Any) -> list[str]:
    return [choice.text for choice in sorted(response.choices, key=lambda choice: choice.index)]


def test_its_log_says_what_is_on(server: Server) -> None:
    (line,) = [line for line in server.log.read_text().splitlines() if "ESamp is on" in line]
    assert "distiller recursive_least_squares, fusion beta_mix" in line
    assert f"up to {GROUPS} groups of {LANES} rows" in line
    assert re.search(r"\d\.\d MiB each", line)
    assert server.metric("esamp_info", distiller="recursive_least_squares", filtering="post-filter") == 1
    assert server.metric("esamp_groups_capacity") == GROUPS


def test_eight_samples_of_one_request_are_a_group(server: Server) -> None:
    groups, mixed = server.metric("esamp_groups_total"), server.metric("esamp_rows_total", outcome="mixed")
    response = complete(server, n=8, body=asked() | {"ignore_eos": True})
    assert len(response.choices) == 8
    assert len(set(texts(response))) > 1
    assert response.usage.completion_tokens == 8 * 8
    assert server.metric("esamp_groups_total") == groups + 1
    assert server.metric("esamp_rows_total", outcome="mixed") > mixed


def test_a_seed_gives_the_same_text_again(server: Server) -> None:
    """Of one sample: those of a larger group start in one step or in several, as they come."""
    first, again, other = (texts(complete(server, tokens=16, body=asked(esamp_seed=seed))) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def chat(server: Server, n: int, stream: bool) -> Any:
    return server.client().chat.completions.create(
        model=MODEL, messages=MESSAGES, n=n, max_tokens=10, stream=stream, extra_body=asked(esamp_seed=3)
    )


def test_a_stream_brings_the_text_of_the_whole_answer(server: Server) -> None:
    chunks = [chunk.choices[0].delta.content or "" for chunk in chat(server, 1, stream=True) if chunk.choices]
    assert "".join(chunks) == chat(server, 1, stream=False).choices[0].message.content
    assert len(chunks) > 4


def test_all_samples_are_streamed(server: Server) -> None:
    streamed = [""] * 4
    for chunk in chat(server, 4, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert all(streamed)
    assert len(set(streamed)) > 1


def test_logprobs_are_those_of_the_model(server: Server) -> None:
    response = complete(server, n=2, tokens=6, body=asked(esamp_seed=5), logprobs=3)
    for choice in response.choices:
        assert len(choice.logprobs.token_logprobs) == 6
        assert all(value <= 0 for value in choice.logprobs.token_logprobs)
        # That the row was reduced to the token drawn does not show: others have their probability too.
        assert all(value > -30 for top in choice.logprobs.top_logprobs for value in top.values())
    first = server.client().chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=4, logprobs=True, top_logprobs=2, extra_body=asked()
    )
    assert all(len(token.top_logprobs) >= 2 for token in first.choices[0].logprobs.content)


def test_a_fusion_can_be_chosen(server: Server) -> None:
    def drawn(**chosen: str) -> list[str]:
        return texts(complete(server, tokens=24, body=asked(2.0, esamp_seed=6, **chosen) | {"ignore_eos": True}))

    default = drawn()
    assert drawn(esamp_fusion="beta_mix") == default
    assert drawn(esamp_fusion="subtraction") != default


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"esamp_beta": "much"}, "esamp_beta must be a number"),
        ({"esamp_beta": -1}, "esamp_beta must be a finite number"),
        ({"esamp_beta": [1, 2]}, "esamp_beta must be a number"),
        ({"esamp_beta": None}, "vllm_xargs.esamp_beta"),
        ({"esamp_beta": 0.5, "esamp_min_p": 2}, "esamp_min_p must be"),
        ({"esamp_beta": 0.5, "esamp_top_k": 1.5}, "esamp_top_k must be an integer"),
        ({"esamp_beta": 0.5, "esamp_fusion": "os.system"}, "esamp_fusion must be one of"),
        ({"esamp_beta": 0.5, "esamp_record": "mine"}, "esamp_record must be left out"),
        ({"esamp_beta": 0.5, "esamp_group": ""}, "esamp_group must be a text"),
        ({"esamp_betta": 0.5}, "did you mean 'esamp_beta'"),
        ({"esamp_seed": 1}, "esamp_seed needs esamp_beta"),
    ],
)
def test_what_is_wrong_is_answered_with_400_and_its_name(server: Server, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(openai.BadRequestError, match=re.escape(told)):
        complete(server, body={"vllm_xargs": wrong})
    with pytest.raises(openai.BadRequestError, match=re.escape(told)):
        server.client().chat.completions.create(
            model=MODEL, messages=MESSAGES, max_tokens=2, extra_body={"vllm_xargs": wrong}
        )


def test_greedy_decoding_with_esamp_is_answered_with_400(server: Server) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature must be"):
        complete(server, body=asked(), temperature=0)


async def mixed_load(server: Server) -> tuple[list[str], list[str]]:
    """At most as many groups at a time as there is room for, and as many plain requests beside them."""
    door = asyncio.Semaphore(GROUPS)

    async def one(index: int) -> list[str]:
        async with door:
            response = await client.completions.create(
                model=MODEL, prompt=f"{index}. {PROMPT}", n=3, max_tokens=4 + index, extra_body=asked(esamp_seed=index)
            )
            return texts(response)

    async def plain(index: int) -> str:
        response = await client.completions.create(
            model=MODEL, prompt=f"{index}. {PROMPT}", max_tokens=6, temperature=0.9, seed=index
        )
        return response.choices[0].text

    async with server.async_client() as client:
        answers = await asyncio.gather(*map(one, range(8)), *map(plain, range(8)))
    return [text for answer in answers[:8] for text in answer], answers[8:]


def test_plain_requests_are_untouched_in_a_mixed_load(server: Server) -> None:
    unserved = server.metric("esamp_requests_without_total")
    explored, untouched = asyncio.run(mixed_load(server))
    assert len(explored) == 24
    assert server.metric("esamp_requests_without_total") == unserved
    for index, text in enumerate(untouched):
        alone = server.client().completions.create(
            model=MODEL, prompt=f"{index}. {PROMPT}", max_tokens=6, temperature=0.9, seed=index
        )
        assert alone.choices[0].text == text


async def crowd(server: Server, requests: int) -> list[Any]:
    body = asked() | {"ignore_eos": True}
    async with server.async_client() as client:
        sent = [
            client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=24, extra_body=body)
            for _ in range(requests)
        ]
        return await asyncio.gather(*sent, return_exceptions=True)


def test_a_request_that_finds_no_room_is_refused(server: Server) -> None:
    refused = server.metric("esamp_requests_refused_total")
    answers = asyncio.run(crowd(server, GROUPS + 3))
    turned_away = [answer for answer in answers if isinstance(answer, openai.APIStatusError)]
    assert len(turned_away) == 3
    assert {answer.status_code for answer in turned_away} == {503}
    assert "groups of ESamp are all under way" in str(turned_away[0])
    assert server.metric("esamp_requests_refused_total") == refused + 3
    with pytest.raises(openai.BadRequestError, match="at most 4 prompts"):
        server.client().completions.create(model=MODEL, prompt=["x"] * 5, max_tokens=1, extra_body=asked())


def test_requests_share_a_group_by_its_key_alone(server: Server) -> None:
    groups = server.metric("esamp_groups_total")
    for key in ("ours", "ours", "theirs"):
        complete(server, n=2, body=asked(esamp_group=key))
    assert server.metric("esamp_groups_total") == groups + 2


def test_clients_that_hang_up_give_their_groups_back(server: Server) -> None:
    for _ in range(2):
        streams = [
            server.client().completions.create(
                model=MODEL, prompt=PROMPT, n=2, max_tokens=400, stream=True, extra_body=asked() | {"ignore_eos": True}
            )
            for _ in range(GROUPS)
        ]
        for stream in streams:
            next(iter(stream))
        assert server.metric("esamp_groups_live") == GROUPS
        for stream in streams:
            stream.close()
        server.wait_for(lambda: server.metric("esamp_groups_live") == 0, "the groups of who hung up have ended")
    with pytest.raises(openai.APITimeoutError):
        server.client().with_options(timeout=1.0).completions.create(
            model=MODEL, prompt=PROMPT, n=8, max_tokens=400, extra_body=asked() | {"ignore_eos": True}
        )
    assert complete(server, body=asked()).choices[0].text


def test_metrics_add_up_and_stand_beside_those_of_vllm(server: Server) -> None:
    def numbers() -> dict[str, float]:
        names = ("updates_total", "loss_total", "kl_nats_total", "groups_total")
        outcomes = ("mixed", "warming_up", "not_finite")
        found = {name: server.metric(f"esamp_{name}") for name in names}
        return found | {outcome: server.metric("esamp_rows_total", outcome=outcome) for outcome in outcomes}

    complete(server, body=asked())
    before, tokens = numbers(), server.metric("vllm:generation_tokens_total")
    complete(server, n=4, tokens=12, body=asked(esamp_warmup=3) | {"ignore_eos": True})
    server.wait_for(lambda: server.metric("esamp_groups_live") == 0, "the group has ended")
    change = {name: value - before[name] for name, value in numbers().items()}
    assert server.metric("vllm:generation_tokens_total") == tokens + 48
    assert change["mixed"] + change["warming_up"] == 48
    assert 3 <= change["warming_up"] < 48
    assert change["not_finite"] == 0
    assert change["groups_total"] == 1
    assert change["loss_total"] > 0
    assert change["kl_nats_total"] > 0
    assert change["updates_total"] >= 11


def test_every_metric_of_the_operators_page_is_there(server: Server) -> None:
    named = set(re.findall(r"\besamp_\w+", (DOCS / "serving.md").read_text()))
    metrics = {name for name in named if name.endswith(("_total", "_live", "_capacity", "_info"))}
    shown = server.get("/metrics")
    assert len(metrics) > 8
    assert not [name for name in metrics if f"\n{name}" not in shown]


def test_the_tutorial_runs(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "tutorials" / "serving.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 3
    scope: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block.replace("http://localhost:8000", server.url), "docs/tutorials/serving.md", "exec"), scope)
    assert "esamp_rows_total" in capsys.readouterr().out
