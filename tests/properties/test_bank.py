"""What one group may know of another: nothing, whatever happens to it."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from esamp.explorer import Explorer
from esamp.policy import Fused
from esamp.rows import Rows
from esamp.testing.strategies import layouts
from tests.properties.bank import ALL, LANES, SOME, explorer, grid, over_vocabulary, plain, run, step

_GROUPS = 3
_seeds = st.integers(0, 2**32 - 1)

# Post-filter with filters, and pre-filter, which mixes before the head.
_modes = pytest.mark.parametrize("prefilter", [False, True], ids=["post-filter", "pre-filter"])


def _trained(prefilter: bool = False) -> Explorer:
    """A bank in the third step of its life."""
    return copy.deepcopy(_trained_once(prefilter))


@functools.cache
def _trained_once(prefilter: bool) -> Explorer:
    bank = explorer(_GROUPS, ALL if prefilter else SOME, prefilter=prefilter)
    for seed in range(2):
        run(bank, step(grid(_GROUPS), seed))
    return bank


def _same(got: Fused, wanted: Fused, rows: torch.Tensor) -> bool:
    pairs = [
        (over_vocabulary(got), over_vocabulary(wanted)),
        (got.error_norm, wanted.error_norm),
        (got.kl, wanted.kl),
    ]
    return all(torch.equal(left[rows], right[rows]) for left, right in pairs)


@_modes
@given(rows=layouts(_GROUPS, LANES), order=_seeds)
def test_permuting_rows_permutes_the_distributions(prefilter: bool, rows: Rows, order: int) -> None:
    taken = step(rows, seed=7)
    shuffled = torch.randperm(len(rows), generator=torch.Generator().manual_seed(order))
    first, second = _trained(prefilter), _trained(prefilter)
    wanted, got = run(first, taken), run(second, taken[shuffled])
    torch.testing.assert_close(over_vocabulary(got), over_vocabulary(wanted)[shuffled])
    torch.testing.assert_close(first.losses(), second.losses(), equal_nan=True)


@given(rows=layouts(_GROUPS, LANES), only=st.integers(0, _GROUPS - 1))
def test_a_group_does_not_notice_who_shares_the_batch(rows: Rows, only: int) -> None:
    mine = (rows.slot == only).nonzero().flatten()
    assume(len(mine) > 0)
    taken = step(rows, seed=7)
    shared, alone = _trained(), _trained()
    wanted, got = run(shared, taken), run(alone, taken[mine])
    torch.testing.assert_close(over_vocabulary(got), over_vocabulary(wanted)[mine])
    torch.testing.assert_close(alone.losses()[only], shared.losses()[only])


@_modes
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("where", ["shallow", "deep"])
@given(victim=st.integers(0, _GROUPS - 1), lane=st.integers(0, LANES - 1))
def test_a_broken_row_resets_its_own_group_only(
    where: str, value: float, prefilter: bool, victim: int, lane: int
) -> None:
    taken = step(grid(_GROUPS), seed=7)
    broken = replace(taken, **{where: getattr(taken, where).clone()})
    getattr(broken, where)[victim * LANES + lane] = value
    bank, healthy = _trained(prefilter), _trained(prefilter)
    got, wanted = run(bank, broken), run(healthy, taken)
    mine = taken.rows.slot == victim
    assert _same(got, wanted, ~mine)
    others = torch.arange(_GROUPS) != victim
    assert torch.equal(bank.losses()[others], healthy.losses()[others])
    # The group itself: plain for this step, as new from the next on, and counted.
    assert torch.equal(over_vocabulary(got)[mine], plain(taken, bank.filters)[mine])
    assert bank.resets().tolist() == [int(slot == victim) for slot in range(_GROUPS)]
    assert bank.bank.updates.tolist() == [0 if slot == victim else 3 for slot in range(_GROUPS)]
    after = step(grid(_GROUPS), seed=8)
    new = explorer(_GROUPS, bank.filters, prefilter=prefilter)
    got, wanted, fresh = run(bank, after), run(healthy, after), run(new, after)
    assert _same(got, wanted, ~mine)
    assert _same(got, fresh, mine)


@_modes
@given(victim=st.integers(0, _GROUPS - 1))
def test_broken_weights_reset_their_own_group_only(prefilter: bool, victim: int) -> None:
    bank, healthy = _trained(prefilter), _trained(prefilter)
    bank.bank.distiller.get_buffer("weight_down_0")[victim, 0, 0] = torch.nan
    taken = step(grid(_GROUPS), seed=7)
    mine = taken.rows.slot == victim
    got, wanted = run(bank, taken), run(healthy, taken)
    assert _same(got, wanted, ~mine)
    assert torch.equal(over_vocabulary(got)[mine], plain(taken, bank.filters)[mine])
    assert bank.resets().tolist() == [int(slot == victim) for slot in range(_GROUPS)]
    after = step(grid(_GROUPS), seed=8)
    got, wanted = run(bank, after), run(healthy, after)
    assert _same(got, wanted, ~mine)
    assert torch.equal(over_vocabulary(got)[mine], plain(after, bank.filters)[mine])
    assert bank.resets().sum() == 1


@_modes
@given(st.lists(st.sampled_from([0.0, 0.25, 2.0]), min_size=LANES, max_size=LANES), _seeds)
def test_a_row_with_beta_zero_is_plain_to_the_last_bit(prefilter: bool, beta: list[float], seed: int) -> None:
    filters = ALL if prefilter else SOME
    bank = explorer(1, filters, prefilter=prefilter)
    off = torch.tensor(beta) == 0
    for each in range(3):
        taken = step(grid(1, torch.tensor([beta])), seed + each)
        # What the model's own projection makes of the same hidden state may differ in the last bits.
        taken = replace(taken, reference=taken.reference * (1 + 1e-6))
        got = run(bank, taken)
        assert torch.equal(over_vocabulary(got)[off], plain(taken, filters)[off])
        assert (got.kl[off] == 0).all()
    # A single candidate leaves fusion nothing to do.
    assert (got.kl > 0)[~off & (got.candidates.count() > 1)].all()


@_modes
def test_what_the_model_forbids_stays_forbidden(prefilter: bool) -> None:
    bank = explorer(1, ALL, prefilter=prefilter)
    for seed in range(3):
        taken = step(grid(1, torch.tensor([[0.0, 0.5, 2.0]])), seed)
        taken.reference[:, 4] = -torch.inf
        log_probs = over_vocabulary(run(bank, taken))
        assert (log_probs[:, 4] == -torch.inf).all()
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(LANES))


def test_an_unbroken_run_counts_no_resets() -> None:
    bank = _trained()
    assert bank.resets().tolist() == [0] * _GROUPS
    assert bank.losses().isfinite().all()
