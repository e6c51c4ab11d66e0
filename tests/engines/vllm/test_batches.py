"""Who is whose row, whatever a runner does with its requests: a model of runner V2, and vLLM is not needed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from esamp.candidates import Filters
from esamp.engines.vllm.batch_v2 import BatchV2
from esamp.engines.vllm.requests import ESampRequest
from esamp.engines.vllm.roster import Member, Roster

SLOTS, GROUPS, LANES = 6, 3, 3


@dataclass(eq=False)
class Request:
    name: int
    params: Any
    prompt: int
    computed: int = 0
    tokens: int = 0
    members: list[Member] = field(default_factory=list)


class Runner:
    """Slots from a free list that gives the last one first; some requests are scheduled, in any order, in chunks."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.roster = Roster(GROUPS, LANES, 5.0, 0, lambda: self.now)
        lengths = SimpleNamespace(np=np.zeros(SLOTS, dtype=np.int32))
        again = SimpleNamespace(np=np.zeros(SLOTS, dtype=np.int32))
        self.states = SimpleNamespace(prompt_len=lengths, prefill_len=again)
        self.batch = BatchV2(self.roster, self.states)
        self.free = list(range(SLOTS))
        self.running: dict[int, Request] = {}
        self.waiting: list[Request] = []
        self.made = 0

    def arrive(self) -> None:
        group = self.random.choice(["a", "b", "c", "d", None, "plain"])
        ours = {} if group == "plain" else {"esamp_beta": 0.5} | ({} if group is None else {"esamp_group": group})
        params = SimpleNamespace(extra_args=ours, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)
        self.waiting.append(Request(self.made, params, self.random.randint(1, 9)))
        self.made += 1

    def admit(self) -> None:
        while self.free and self.waiting:
            request, slot = self.waiting.pop(0), self.free.pop()
            self.running[slot] = request
            self.states.prompt_len.np[slot] = request.prompt
            self.states.prefill_len.np[slot] = request.prompt + request.tokens
            request.computed = 0
            self.batch.add(slot, request.params)

    def preempt(self) -> None:
        if self.running:
            slot = self.random.choice(list(self.running))
            self.waiting.insert(0, self.running.pop(slot))
            self.free.append(slot)

    def finish(self) -> None:
        if self.running:
            slot = self.random.choice(list(self.running))
            del self.running[slot]
            self.free.append(slot)

    def step(self) -> None:
        self.now += 1.0
        self.admit()
        slots = [slot for slot in self.running if self.random.random() < 0.8]
        self.random.shuffle(slots)
        lengths: list[int] = []
        for slot in slots:
            request = self.running[slot]
            left = request.prompt + request.tokens - request.computed
            request.computed += self.random.randint(1, left)
            lengths.append(request.computed)
        context = SimpleNamespace(
            idx_mapping_np=np.array(slots, dtype=np.intp), seq_lens_upper_bound_np=np.array(lengths)
        )
        places = self.batch.places(context)
        self.check(slots, lengths, places)
        for slot, length in zip(slots, lengths, strict=True):
            request = self.running[slot]
            request.tokens += length == request.prompt + request.tokens

    def check(self, slots: list[int], lengths: list[int], places: list[Any]) -> None:
        seats = [(place.member.group.slot, place.member.lane) for place in places]
        assert len(set(seats)) == len(seats)
        samples = [(place.member.group, place.member.sample) for place in places]
        assert len(set(samples)) == len(samples)
        slot_of: dict[int, str] = {}
        for place in places:
            request = self.running[slots[place.row]]
            asked = request.params.extra_args
            assert asked, "a request without ESamp has been given a row"
            assert place.member.prompt == request.prompt
            if "esamp_group" in asked:
                assert place.member.group.key == asked["esamp_group"]
            assert slot_of.setdefault(place.member.group.slot, place.member.group.key) == place.member.group.key
            # The rows whose token counts are exactly those whose last position is known.
            counts = lengths[place.row] == request.prompt + request.tokens
            assert (place.position == lengths[place.row] - 1) == counts
            if counts:
                assert place.step == request.tokens
        assert all(0 <= slot < GROUPS and 0 <= lane < LANES for slot, lane in seats)


@given(
    st.integers(0, 10**6),
    st.lists(st.sampled_from(["arrive", "arrive", "preempt", "finish", "step", "step"]), max_size=80),
)
def test_every_row_is_its_requests_own(seed: int, actions: list[str]) -> None:
    runner = Runner(seed)
    for action in actions:
        getattr(runner, action)()
    runner.step()


def asked(group: str | None) -> ESampRequest:
    return ESampRequest(0.5, Filters(), group)


def test_a_group_without_members_gives_its_slot_to_a_new_one_and_not_before() -> None:
    roster = Roster(1, 2, 100.0, 0, lambda: 0.0)
    first = roster.join(asked("a"), 4, 0)
    assert first is not None
    assert roster.join(asked("b"), 4, 0) is None
    assert roster.counts["no_group"] == 1
    roster.leave(first)
    second = roster.join(asked("b"), 4, 0)
    assert second is not None
    assert second.group.slot == first.group.slot
    assert [group.key for group in roster.take_fresh()] == ["a", "b"]


def test_an_idle_group_is_forgotten_in_time() -> None:
    now = [0.0]
    roster = Roster(2, 2, 10.0, 0, lambda: now[0])
    first = roster.join(asked("a"), 4, 0)
    assert first is not None
    roster.leave(first)
    now[0] = 5.0
    again = roster.join(asked("a"), 4, 0)
    assert again is not None
    assert again.group is first.group
    roster.leave(again)
    now[0] = 20.0
    late = roster.join(asked("a"), 4, 0)
    assert late is not None
    assert late.group is not first.group


def test_samples_that_come_back_are_who_they_were() -> None:
    roster = Roster(1, 4, 10.0, 0, lambda: 0.0)
    members = [roster.join(asked("a"), 4, 0) for _ in range(3)]
    for member, tokens in zip(members, (5, 7, 6), strict=True):
        assert member is not None
        roster.leave(member)
        roster.lose(member, tokens)
    back = [roster.join(asked("a"), 4, tokens) for tokens in (6, 5, 7)]
    assert [member.sample for member in back if member is not None] == [2, 0, 1]


def test_of_equals_the_oldest_comes_back_first() -> None:
    roster = Roster(1, 4, 10.0, 0, lambda: 0.0)
    members = [roster.join(asked("a"), 4, 0) for _ in range(3)]
    for member in reversed(members):
        assert member is not None
        roster.leave(member)
        roster.lose(member, 5)
    back = [roster.join(asked("a"), 4, 5) for _ in range(3)]
    assert [member.sample for member in back if member is not None] == [0, 1, 2]


def test_a_group_that_is_used_for_ever_does_not_remember_for_ever() -> None:
    roster = Roster(1, 4, 10.0, 0, lambda: 0.0)
    for turn in range(3000):
        member = roster.join(asked("a"), 4, 0)
        assert member is not None
        assert member.sample == turn
        roster.leave(member)
        roster.lose(member, 7)
    assert len(member.group.away) < 2000
    assert max(member.group.away) == 2999


def test_requests_without_a_key_share_with_nobody() -> None:
    roster = Roster(2, 4, 10.0, 0, lambda: 0.0)
    first, second = roster.join(asked(None), 4, 0), roster.join(asked(None), 4, 0)
    assert first is not None
    assert second is not None
    assert first.group.slot != second.group.slot
    assert first.seed != second.seed
