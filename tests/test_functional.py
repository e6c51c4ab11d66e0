"""Each formula against its textbook form, and at its edges."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given

from esamp.functional import (
    beta_mix,
    closed_form,
    entropy,
    error_norm,
    kl_divergence,
    log_partition,
    masked_log_softmax,
    objective,
    reward,
    tilt_from_error,
)
from esamp.testing.strategies import Fusible, fusible


@given(fusible())
def test_masked_log_softmax_is_the_softmax_of_what_is_there(case: Fusible) -> None:
    got = masked_log_softmax(case.reference, case.mask)
    for row, mask in enumerate(case.mask):
        torch.testing.assert_close(got[row, mask], case.reference[row, mask].log_softmax(-1))
        assert (got[row, ~mask] == -torch.inf).all()


@given(fusible())
def test_entropy_is_that_of_the_held_places(case: Fusible) -> None:
    got = entropy(masked_log_softmax(case.reference, case.mask))
    for row, mask in enumerate(case.mask):
        wanted = torch.distributions.Categorical(logits=case.reference[row, mask]).entropy()
        torch.testing.assert_close(got[row], wanted, atol=1e-10, rtol=1e-10)
        assert -1e-12 <= got[row] <= math.log(int(mask.sum())) + 1e-12


def test_entropy_of_sure_and_of_even_choices() -> None:
    log_probs = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]).log()
    torch.testing.assert_close(entropy(log_probs), torch.tensor([0.0, math.log(4)]))


@given(fusible())
def test_kl_divergence_is_the_textbooks(case: Fusible) -> None:
    log_probs = masked_log_softmax(case.distilled, case.mask)
    before = masked_log_softmax(case.reference, case.mask)
    got = kl_divergence(log_probs, before)
    for row, mask in enumerate(case.mask):
        p, q = (torch.distributions.Categorical(logits=z[row, mask]) for z in (case.distilled, case.reference))
        torch.testing.assert_close(got[row], torch.distributions.kl_divergence(p, q), atol=1e-9, rtol=1e-9)
    assert (kl_divergence(before, before) == 0).all()


def test_kl_divergence_of_a_narrower_list_counts_what_it_lost() -> None:
    """A place that is empty in π adds nothing, even where π_ref is not empty."""
    before = torch.tensor([[0.5, 0.25, 0.25]]).log()
    narrow = masked_log_softmax(before, torch.tensor([[True, True, False]]))
    wanted = 2 / 3 * math.log((2 / 3) / 0.5) + 1 / 3 * math.log((1 / 3) / 0.25)
    torch.testing.assert_close(kl_divergence(narrow, before), torch.tensor([wanted]))


def test_beta_mix_is_the_papers_formula_row_by_row() -> None:
    z, distilled, beta = (
        torch.tensor([[1.0, 2.0], [1.0, 2.0]]),
        torch.tensor([[3.0, 1.0]] * 2),
        torch.tensor([0.5, 2.0]),
    )
    torch.testing.assert_close(beta_mix(z, distilled, beta), torch.tensor([[0.0, 2.5], [-3.0, 4.0]]))


def test_reward_is_the_log_ratio_of_two_distributions() -> None:
    p, q = torch.tensor([[0.2, 0.8]]), torch.tensor([[0.6, 0.4]])
    torch.testing.assert_close(reward(p.log() + 3.0, q.log() - 1.0), (p / q).log())


def test_objective_by_hand() -> None:
    """J = Σ π r - α KL(π ‖ π_ref), on a coin."""
    pi, ref, rewards = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, -1.0]])
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    torch.testing.assert_close(objective(pi.log(), ref.log(), rewards, 2.0), torch.tensor([0.5 - 2 * divergence]))


def test_closed_form_and_partition_by_hand() -> None:
    """π* ∝ π_ref e^(r/α): a fair coin with rewards 0 and α log 3 comes down 1 : 3, and Z = (1 + 3) / 2."""
    reference, alpha = torch.tensor([[0.5, 0.5]]).log(), 0.5
    rewards = torch.tensor([[0.0, alpha * math.log(3)]])
    torch.testing.assert_close(closed_form(reference, rewards, alpha).exp(), torch.tensor([[0.25, 0.75]]))
    torch.testing.assert_close(log_partition(reference, rewards, alpha), torch.tensor([math.log(2.0)]))


def test_error_norm_is_euclidean() -> None:
    deep, predicted = torch.tensor([[3.0, 4.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    assert error_norm(deep, predicted).tolist() == [5.0, 0.0]


@pytest.mark.parametrize("nothing", ["error", "weight"])
def test_no_error_or_no_weight_gives_no_tilt(nothing: str) -> None:
    vectors = {"error": torch.ones(2, 3), "weight": torch.ones(4, 3)}
    vectors[nothing] = torch.zeros_like(vectors[nothing])
    tilt = tilt_from_error(vectors["error"], vectors["weight"], torch.ones(2))
    assert tilt.shape == (2, 4)
    assert (tilt == 0).all()


def test_tilt_is_largest_along_the_error() -> None:
    error = torch.tensor([[2.0, 0.0]])
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    torch.testing.assert_close(tilt_from_error(error, weight, torch.tensor([0.5])), torch.tensor([[1.0, 0.0, -1.0]]))
