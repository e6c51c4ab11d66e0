"""No slot of the bank is lost, and no two groups ever have the same one."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from esamp.candidates import Filters
from esamp.engines.vllm.requests import ESampRequest
from esamp.engines.vllm.roster import Group, Member, Roster

SLOTS, LANES, IDLE = 3, 2, 4


class Groups(RuleBasedStateMachine):
    """Requests join, leave for good or for a while, and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.roster = Roster(SLOTS, LANES, float(IDLE), 0, lambda: float(self.now))
        self.members: list[Member] = []
        self.away: list[Member] = []
        self.left_at: dict[Group, int] = {}

    @property
    def living(self) -> set[Group]:
        return {member.group for member in self.members}

    @rule(key=st.sampled_from([None, "a", "b", "c", "d"]))
    def join(self, key: str | None) -> None:
        member = self.roster.join(ESampRequest(0.5, Filters(), key), prompt=4, tokens=0)
        mine = [group for group in self.living if group.key == key]
        if member is None:
            # Turned away only where it must be: its group is full, or all slots are in use by others.
            full = bool(mine) and sum(other.group is mine[0] for other in self.members) == LANES
            assert full or (not mine and len(self.living) == SLOTS)
            return
        if mine:
            assert member.group is mine[0]
        self.members.append(member)
        self.left_at.pop(member.group, None)

    @precondition(lambda self: self.members)
    @rule(data=st.data(), for_good=st.booleans())
    def leave(self, data: st.DataObject, for_good: bool) -> None:
        member = self.members.pop(data.draw(st.integers(0, len(self.members) - 1)))
        self.roster.leave(member)
        if not for_good:
            self.away.append(member)
        if member.group not in self.living:
            self.left_at[member.group] = self.now

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def return_(self, data: st.DataObject) -> None:
        former = self.away.pop(data.draw(st.integers(0, len(self.away) - 1)))
        member = self.roster.join(former.request, former.prompt, 3, former)
        if member is None:
            return
        if member.group is former.group and former.group.key is not None:
            assert member.sample == former.sample
        self.members.append(member)
        self.left_at.pop(member.group, None)

    @rule(steps=st.integers(1, 2 * IDLE))
    def wait(self, steps: int) -> None:
        self.now += steps

    @invariant()
    def no_two_groups_share_a_slot(self) -> None:
        slots = [group.slot for group in self.living]
        assert len(set(slots)) == len(slots)
        assert all(0 <= slot < SLOTS for slot in slots)

    @invariant()
    def no_two_members_share_a_seat_or_a_sample(self) -> None:
        seats = [(member.group.slot, member.lane) for member in self.members]
        assert len(set(seats)) == len(seats)
        assert self.roster.live == len(self.living)

    def teardown(self) -> None:
        """However it went: once everybody has left, all slots can be had again, each by one group."""
        while self.members:
            self.roster.leave(self.members.pop())
        self.now += IDLE + 1
        last = [self.roster.join(ESampRequest(0.5, Filters(), f"last {i}"), 4, 0) for i in range(SLOTS + 1)]
        assert sorted(member.group.slot for member in last if member is not None) == list(range(SLOTS))
        assert last[-1] is None


TestGroups = Groups.TestCase
