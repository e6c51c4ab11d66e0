"""Model runner V2: a request keeps a slot while it runs, and each step says which rows are whose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from esamp.engines.vllm.requests import ESampRequest, parse
from esamp.engines.vllm.roster import Member, Roster
from esamp.engines.vllm.step import Place

__all__ = ["BatchV2"]


@dataclass
class _Seat:
    """A member, and how many tokens it has once the last step is over."""

    member: Member
    tokens: int


class BatchV2:
    """The members by their slots in the runner. It does not say when a request leaves.

    Args:
        roster: whom they belong to.
        states: the runner's `LogitsProcRequestState`.
    """

    def __init__(self, roster: Roster, states: Any) -> None:
        self._roster = roster
        self._states = states
        self._seats: dict[int, _Seat] = {}
        self._absent: dict[int, _Seat] = {}
        self._new: dict[int, ESampRequest] = {}

    def add(self, slot: int, params: Any) -> bool:
        """A request has been given a slot; whoever had it before is gone."""
        self._new.pop(slot, None)
        seat = self._leave(slot) if slot in self._seats else self._absent.pop(slot, None)
        if seat is not None:
            self._roster.lose(seat.member, seat.tokens)
        request = parse(params)
        if request is not None:
            self._new[slot] = request
        return request is not None

    def _settle(self) -> None:
        """Requests that came join, in the order in which they came; their lengths are there, on the host."""
        for slot, request in self._new.items():
            prompt = int(self._states.prompt_len.np[slot])
            self._sit(slot, request, prompt, int(self._states.prefill_len.np[slot]) - prompt)
        self._new.clear()

    def places(self, context: Any) -> list[Place]:
        """The rows of this step that use ESamp. Who has none in a step leaves, and comes back when there is one again.

        Everything is known on the host: the runner's own record of lengths is exact without speculative decoding.
        """
        slots: list[int] = context.idx_mapping_np.tolist()
        lengths: list[int] = context.seq_lens_upper_bound_np.tolist()
        for slot in self._seats.keys() - set(slots):
            self._absent[slot] = self._leave(slot)
        # After those that left have made room: the runner never says that a request has ended.
        self._settle()
        found: list[Place] = []
        for row, (slot, length) in enumerate(zip(slots, lengths, strict=True)):
            seat = self._seat(slot)
            if seat is not None:
                # A chunk of a prompt, or of what is filled in again after a preemption, is shorter, and draws nothing.
                drawn, step = length - seat.member.prompt, seat.tokens
                found.append(Place(row, seat.member, step))
                seat.tokens += drawn == step
        return found

    def _seat(self, slot: int) -> _Seat | None:
        if slot in self._absent:
            seat = self._absent.pop(slot)
            self._sit(slot, seat.member.request, seat.member.prompt, seat.tokens, seat.member)
        return self._seats.get(slot)

    def _sit(self, slot: int, request: ESampRequest, prompt: int, tokens: int, former: Member | None = None) -> None:
        member = self._roster.join(request, prompt, tokens, former)
        if member is not None:
            self._seats[slot] = _Seat(member, tokens)

    def _leave(self, slot: int) -> _Seat:
        seat = self._seats.pop(slot)
        self._roster.leave(seat.member)
        return seat
