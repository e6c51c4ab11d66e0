"""Who is who: the requests that use ESamp, each with its group, its lane and its sample index. Runs on the host."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from esamp.engines.vllm.requests import ESampRequest
from esamp.noise import MAX_SEED

__all__ = ["Group", "Member", "Roster"]

# An odd multiplier with well mixed bits, so that seeds of requests that give none are far apart.
_SPREAD = 0x9E3779B97F4A7C15

# Samples of a group that are remembered when they leave: those that have ended are among them, for nobody says so.
_REMEMBERED = 1024


@dataclass(eq=False)
class Group:
    """The requests that share a distiller.

    Attributes:
        key: what they share it by.
        slot: of the distiller in the bank.
        lanes: free places among its rows of one step, a heap.
        arrived: samples that it has had.
        away: samples whose request is not in the batch, with the number of tokens that each had then, in the order in
            which they left; the first are forgotten where they are very many.
        seed: of the draws of requests that give none.
        warmup: what its first request says; None: the engine's own.
    """

    key: str
    slot: int
    lanes: list[int]
    seed: int
    warmup: int | None
    arrived: int = 0
    away: dict[int, int] = field(default_factory=dict[int, int])


@dataclass(frozen=True, eq=False)
class Member:
    """One request in the batch.

    Attributes:
        request: what it asked for.
        group: whom it shares a distiller with.
        lane: its place among the group's rows of one step.
        sample: its index among the samples of its group, which keys its draws.
        seed: of its draws.
        prompt: tokens of its prompt.
    """

    request: ESampRequest
    group: Group
    lane: int
    sample: int
    seed: int
    prompt: int


class Roster:
    """Groups, and who is in them.

    A runner takes a request out of its batch when it ends, is preempted or is not scheduled for once, and does not say
    which; so a group without members keeps its distiller until it has been idle for too long or its slot is needed.
    Requests that come back with tokens are told apart by how many: of equals the one with the lowest index comes back
    first, for vLLM preempts the youngest first and takes the oldest back first.

    Args:
        groups: slots of the bank.
        lanes: rows of a group in one step.
        idle_steps: how long a group without members is kept; in steps, on which all ranks of an engine agree.
        seed: the engine's, from which come the seeds of requests without one.
        clock: number of steps so far.
    """

    def __init__(self, groups: int, lanes: int, idle_steps: float, seed: int, clock: Callable[[], float]) -> None:
        self.lanes = lanes
        self.idle_steps = idle_steps
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._free = list(range(groups))
        self._groups: dict[str, Group] = {}
        self._members: Counter[str] = Counter()
        self._idle_since: dict[str, float] = {}
        self._fresh: list[Group] = []

    @property
    def live(self) -> int:
        """Groups with members in the batch."""
        return len(self._groups) - len(self._idle_since)

    def join(self, request: ESampRequest, prompt: int, tokens: int, former: Member | None = None) -> Member | None:
        """A request comes into the batch with so many tokens of its own; None where there is no room for it.

        `former` is who it was, where that is known: it keeps its index, unless its group has been forgotten meanwhile.
        """
        group = self._group_of(request)
        if group is None or not group.lanes:
            self.counts["no_group" if group is None else "no_lane"] += 1
            return None
        self._members[group.key] += 1
        self._idle_since.pop(group.key, None)
        known = former.sample if former is not None and former.group is group else request.sample
        sample = self._sample_of(group, tokens, known)
        seed = group.seed if request.seed is None else request.seed
        return Member(request, group, heapq.heappop(group.lanes), sample, seed, prompt)

    def leave(self, member: Member) -> None:
        """A request goes out of the batch, for good or not."""
        group = member.group
        heapq.heappush(group.lanes, member.lane)
        self._members[group.key] -= 1
        if not self._members[group.key]:
            del self._members[group.key]
            self._idle_since[group.key] = self._clock()

    def lose(self, member: Member, tokens: int) -> None:
        """Nobody knows any more whose a member that has left was: it may come back, with so many tokens."""
        away = member.group.away
        away.pop(member.sample, None)
        away[member.sample] = tokens
        if len(away) > _REMEMBERED:
            del away[next(iter(away))]

    def take_fresh(self) -> list[Group]:
        """Groups that have been given a slot since the last call: their distillers are to be made new."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def _group_of(self, request: ESampRequest) -> Group | None:
        self._forget_idle()
        key = request.group
        if key is None:
            # Nobody can ask for a key with a space in it twice: it counts the requests.
            key = f"alone {self.counts['alone']}"
            self.counts["alone"] += 1
        if key in self._groups:
            return self._groups[key]
        if not self._free and self._idle_since:
            self._forget(min(self._idle_since, key=self._idle_since.__getitem__))
        if not self._free:
            return None
        heapq.heapify(self._free)
        self.counts["groups"] += 1
        seed = (self.seed + self.counts["groups"] * _SPREAD) & MAX_SEED
        group = Group(key, heapq.heappop(self._free), list(range(self.lanes)), seed, request.warmup)
        self._groups[key] = group
        self._fresh.append(group)
        return group

    def _sample_of(self, group: Group, tokens: int, known: int | None) -> int:
        if known is None:
            known = min((sample for sample, had in group.away.items() if had == tokens), default=None)
        if known is not None:
            group.away.pop(known, None)
            group.arrived = max(group.arrived, known + 1)
            return known
        group.arrived += 1
        return group.arrived - 1

    def _forget_idle(self) -> None:
        now = self._clock()
        for key in [key for key, since in self._idle_since.items() if now - since > self.idle_steps]:
            self._forget(key)

    def _forget(self, key: str) -> None:
        del self._idle_since[key]
        self._free.append(self._groups.pop(key).slot)
        self.counts["evicted"] += 1
