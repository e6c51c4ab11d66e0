"""Coverage: against exact fractions, enumeration of all subsets, and draws."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esamp.metrics import clusters, distinct_at_k, pass_at_k, reentry_rate
from esamp.metrics.stateful import DistinctAtK, PassAtK


@given(st.integers(1, 300), st.data())
def test_every_k_is_the_exact_fraction(n: int, data: st.DataObject):
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert float(pass_at_k([c], n)[0, k - 1]) == pytest.approx(float(exact), abs=1e-12)


def test_by_hand():
    # Of 4 samples one is right: a pair holds it in 3 of 6 cases.
    assert pass_at_k([1], 4)[0].tolist() == pytest.approx([1 / 4, 3 / 6, 3 / 4, 1])
    assert pass_at_k([0], 3)[0].tolist() == [0, 0, 0]
    assert pass_at_k([3], 3)[0].tolist() == [1, 1, 1]


def test_it_is_what_drawing_k_of_the_samples_gives():
    right = torch.tensor([True] * 3 + [False] * 9)
    drawn = torch.rand(20_000, 12, generator=torch.Generator().manual_seed(0)).argsort(dim=1)
    hits = right[drawn].cumsum(dim=1).gt(0).double().mean(dim=0)
    assert torch.allclose(pass_at_k([3], 12)[0], hits, atol=0.01)


def test_a_problem_with_fewer_samples_has_no_value_beyond_them():
    found = pass_at_k([1, 1], [2, 4])
    assert found[0, :2].tolist() == pytest.approx([0.5, 1]) and bool(found[0, 2:].isnan().all())
    assert found[1].tolist() == pytest.approx([0.25, 0.5, 0.75, 1])
    assert found.mean(dim=0).isnan().tolist() == [False, False, True, True]


answers = st.lists(st.sampled_from(["red", "blue", "green", None]), min_size=1, max_size=7)


@given(answers)
def test_distinct_answers_are_the_mean_over_all_subsets(said: list[str | None]):
    for k in range(1, len(said) + 1):
        counts = [len(set(subset) - {None}) for subset in itertools.combinations(said, k)]
        assert float(distinct_at_k([said])[0, k - 1]) == pytest.approx(sum(counts) / len(counts))


@given(answers)
def test_more_samples_never_find_less_and_a_new_name_for_an_answer_changes_nothing(said: list[str | None]):
    curve = distinct_at_k([said])[0]
    assert bool((curve.diff() >= -1e-12).all())
    renamed = [None if word is None else len(word) for word in said]
    assert torch.allclose(distinct_at_k([renamed]), curve)


def test_ragged_problems_and_problems_without_a_valid_answer():
    found = distinct_at_k([["a", "b"], [None, None, None]])
    assert found[0, :2].tolist() == pytest.approx([1, 2]) and math.isnan(float(found[0, 2]))
    assert found[1].tolist() == [0, 0, 0]


def test_a_sample_re_enters_where_an_earlier_one_has_been():
    assert reentry_rate([0, 1, 2]) == 0
    assert reentry_rate(["a", "a", "a", "a", "a"]) == 1
    assert reentry_rate([0, 0, 1, 2, 1]) == 2 / 4
    assert math.isnan(reentry_rate([0]))


def test_clusters_are_led_by_the_first_of_their_kind():
    turned = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    assert clusters(turned, 0.75) == [0, 0, 1]
    assert clusters(turned, 0.5) == [0, 0, 1], "like a member is not like the leader"
    assert clusters(turned, 0.9) == [0, 1, 2]
    assert distinct_at_k([clusters(turned, 0.75)])[0].tolist() == pytest.approx([1, 5 / 3, 2])


@pytest.mark.parametrize(
    ("correct", "n", "said"),
    [
        ([5], 4, r"correct\[0\] must be an integer in \[0, 4\], got 5"),
        ([1, -1], 4, r"correct\[1\] must be"),
        ([0], 0, r"n\[0\] must be an integer >= 1"),
        ([1, 1], [2], "n must have one entry a problem, got 1 for 2"),
        ([], 4, "at least one problem"),
    ],
)
def test_counts_that_cannot_be_are_refused_by_name(correct, n, said: str):
    with pytest.raises(ValueError, match=said):
        pass_at_k(correct, n)


@pytest.mark.parametrize("said", [[], [["a"], []]])
def test_no_answers_are_refused(said):
    with pytest.raises(ValueError, match="at least one sample of each"):
        distinct_at_k(said)


def test_batches_add_up_to_the_whole():
    counted, named = PassAtK(), DistinctAtK()
    counted.update([1, 0], n=3)
    counted.update([2], n=[5])
    named.update([["a", "b", "a"], ["b", None, "b"]])
    named.update([["b", "c"]])
    assert torch.allclose(counted.compute(), pass_at_k([1, 0, 2], [3, 3, 5]), equal_nan=True)
    whole = distinct_at_k([["a", "b", "a"], ["b", None, "b"], ["b", "c"]])
    assert torch.allclose(named.compute(), whole, equal_nan=True)
    counted.reset()
    counted.update([1], n=2)
    assert counted.compute().tolist() == [[0.5, 1]]


def test_processes_add_up_to_the_whole():
    other = DistinctAtK()
    other.update([["c", None], ["d", "d"]])
    theirs = iter([torch.cat(other.labels), torch.cat(other.samples)])
    one = DistinctAtK(
        dist_sync_fn=lambda mine, group: [mine, next(theirs)],
        distributed_available_fn=lambda: True,
        sync_on_compute=True,
    )
    one.update([["a", "b", "a"]])
    whole = distinct_at_k([["a", "b", "a"], ["c", None], ["d", "d"]])
    assert torch.allclose(one.compute(), whole, equal_nan=True)


def test_what_is_wrong_is_refused_when_it_comes_and_leaves_nothing_behind():
    metric = PassAtK()
    with pytest.raises(ValueError, match=r"correct\[1\]"):
        metric.update([1, 9], n=4)
    metric.update([1], n=4)
    assert metric.compute().shape == (1, 4)
