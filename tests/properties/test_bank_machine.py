"""A bank of groups, whatever happens to them, equals one explorer for each group that sees that group only."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from torch import Tensor

from esamp.explorer import Explorer
from esamp.rows import Rows
from tests.properties.bank import ALL, LANES, SOME, explorer, over_vocabulary, run, step

_SLOTS = 3
_TOLERANCE = {"atol": 1e-4, "rtol": 1e-4, "equal_nan": True}

lanes = st.integers(0, LANES - 1)
slots = st.integers(0, _SLOTS - 1)


class Bank(RuleBasedStateMachine):
    """Groups arrive in slots, step with the rows they have left, lose rows, break, and give their slots to others."""

    @initialize(
        prefilter=st.booleans(),
        warmup=st.integers(1, 3),
        beta=st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=_SLOTS * LANES, max_size=_SLOTS * LANES),
    )
    def start(self, prefilter: bool, warmup: int, beta: list[float]) -> None:
        self.beta = torch.tensor(beta).view(_SLOTS, LANES)
        # The filters see fused logits in the one case, where the last bit might decide who is a candidate.
        self.options = {"filters": ALL if prefilter else SOME, "prefilter": prefilter, "warmup": warmup}
        self.bank = explorer(_SLOTS, **self.options)
        self.alone: list[Explorer | None] = [None] * _SLOTS
        self.living: list[set[int]] = [set() for _ in range(_SLOTS)]

    @rule(slot=slots)
    def arrive(self, slot: int) -> None:
        """A new group, in a free slot or in place of the group that has it."""
        self.bank.recycle(torch.tensor([slot]))
        self.alone[slot] = explorer(1, **self.options)
        self.living[slot] = set(range(LANES))

    @rule(slot=slots, lane=lanes)
    def finish(self, slot: int, lane: int) -> None:
        """A row leaves the batch for good."""
        self.living[slot].discard(lane)

    @rule(
        seed=st.integers(0, 2**32 - 1),
        order=st.randoms(use_true_random=False),
        absent=st.sets(slots, max_size=1),
        dead=st.none() | st.sets(st.tuples(slots, lanes)),
        broken=st.none()
        | st.tuples(slots, lanes, st.sampled_from(["shallow", "deep"]), st.sampled_from([float("nan"), 1e30])),
    )
    def advance(
        self,
        seed: int,
        order: object,
        absent: set[int],
        dead: set[tuple[int, int]] | None,
        broken: tuple[int, int, str, float] | None,
    ) -> None:
        """One decode step of the rows that are left, in any order; some of them may not count, one may be broken."""
        places = [(slot, lane) for slot in range(_SLOTS) for lane in self.living[slot] if slot not in absent]
        if not places:
            return
        order.shuffle(places)
        slot, lane = torch.tensor(places).unbind(dim=1)
        taken = step(Rows(slot, lane, lane, torch.zeros_like(lane), self.beta[slot, lane]), seed)
        if dead is not None:
            taken = replace(taken, alive=torch.tensor([place not in dead for place in places]))
        if broken is not None and broken[:2] in places:
            getattr(taken, broken[2])[places.index(broken[:2])] = broken[3]
        fused = run(self.bank, taken)
        got = over_vocabulary(fused)
        for each in set(slot.tolist()):
            mine = (slot == each).nonzero().flatten()
            alone = self.alone[each]
            assert alone is not None
            wanted = run(alone, taken[mine].alone())
            self._compare(got[mine], over_vocabulary(wanted))
            self._compare(fused.error_norm[mine], wanted.error_norm)
            self._compare(fused.kl[mine], wanted.kl)
            self._compare(self.bank.losses()[each], alone.losses()[0])

    @invariant()
    def counts_agree(self) -> None:
        """Updates and resets of each slot are those of its group alone."""
        for slot, alone in enumerate(getattr(self, "alone", [])):
            if alone is not None:
                assert self.bank.bank.updates[slot] == alone.bank.updates[0]
                assert self.bank.resets()[slot] == alone.resets()[0]

    @staticmethod
    def _compare(got: Tensor, wanted: Tensor) -> None:
        torch.testing.assert_close(got, wanted, **_TOLERANCE)


TestBank = Bank.TestCase
TestBank.settings = settings(max_examples=40, stateful_step_count=30)
