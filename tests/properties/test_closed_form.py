"""ESamp's formula is the optimum that the paper says it is, and the shortcuts to it are exact. All in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from esamp.candidates import Candidates
from esamp.functional import (
    beta_mix,
    closed_form,
    kl_divergence,
    log_partition,
    masked_log_softmax,
    objective,
    reward,
    tilt_from_error,
)
from esamp.fusion import BetaMix
from esamp.head import Head
from esamp.testing.strategies import Fusible, fusible, masks, tensors

exploring = fusible(low=0.05)


def _optimum(case: Fusible, row: int) -> tuple[Tensor, Tensor, Tensor, float]:
    """log π*, log π_ref and r over the candidates of one row [1, candidates], and α."""
    held = case.mask[row]
    reference, distilled = case.reference[row : row + 1, held], case.distilled[row : row + 1, held]
    fused = beta_mix(reference, distilled, case.beta[row : row + 1])
    return fused.log_softmax(-1), reference.log_softmax(-1), reward(reference, distilled), 1 / float(case.beta[row])


@given(exploring, st.integers(0, 2**32 - 1))
def test_no_distribution_beats_the_fused_one(case: Fusible, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for row in range(len(case.beta)):
        best, reference, rewards, alpha = _optimum(case, row)
        scale = 10.0 * torch.rand(100, 1, generator=generator, dtype=torch.float64)
        noise = torch.randn(100, best.shape[1], generator=generator, dtype=torch.float64)
        # Half of the rivals are anywhere, half are near the optimum, where it is hardest to be better.
        rivals = torch.cat([scale * noise, best + 1e-2 * noise]).log_softmax(-1)
        values = objective(rivals, reference.expand_as(rivals), rewards.expand_as(rivals), alpha)
        assert values.max() <= objective(best, reference, rewards, alpha) + 1e-9


def _mirror_ascent(reference: Tensor, rewards: Tensor, alpha: float) -> Tensor:
    """The optimum of J by exponentiated gradient, from the uniform distribution: it knows nothing of a closed form."""
    log_probs = torch.zeros_like(reference).log_softmax(-1)
    for _ in range(400):
        probs = log_probs.exp().requires_grad_()
        value = (probs * rewards).sum() - alpha * (probs * (probs.log() - reference)).sum()
        (gradient,) = torch.autograd.grad(value, probs)
        log_probs = (log_probs + 0.1 / alpha * gradient).log_softmax(-1)
    return log_probs


@given(exploring)
def test_mirror_ascent_arrives_at_the_fused_distribution(case: Fusible) -> None:
    best, reference, rewards, alpha = _optimum(case, 0)
    torch.testing.assert_close(_mirror_ascent(reference, rewards, alpha).exp(), best.exp(), atol=1e-6, rtol=0)


@given(exploring)
def test_fusion_is_the_closed_form_and_its_value_is_alpha_log_z(case: Fusible) -> None:
    for row in range(len(case.beta)):
        best, reference, rewards, alpha = _optimum(case, row)
        torch.testing.assert_close(closed_form(reference, rewards, alpha).exp(), best.exp())
        value = objective(best, reference, rewards, alpha)
        torch.testing.assert_close(value, alpha * log_partition(reference, rewards, alpha), atol=1e-8, rtol=1e-8)


@given(fusible(dtype=torch.float32))
def test_beta_zero_is_the_identity(case: Fusible) -> None:
    fused = beta_mix(case.reference, case.distilled, torch.zeros_like(case.beta))
    assert torch.equal(fused, case.reference)


@given(fusible(), st.floats(-50, 50), st.floats(-50, 50))
def test_constants_change_nothing(case: Fusible, of_reference: float, of_distilled: float) -> None:
    plain = masked_log_softmax(beta_mix(case.reference, case.distilled, case.beta), case.mask)
    moved = beta_mix(case.reference + of_reference, case.distilled + of_distilled, case.beta)
    torch.testing.assert_close(masked_log_softmax(moved, case.mask).exp(), plain.exp(), atol=1e-10, rtol=1e-8)


@given(fusible(), st.lists(st.floats(0, 5), min_size=2, max_size=6))
def test_divergence_from_the_reference_grows_with_beta(case: Fusible, betas: list[float]) -> None:
    before = masked_log_softmax(case.reference, case.mask)
    divergence = torch.stack(
        [
            kl_divergence(masked_log_softmax(beta_mix(case.reference, case.distilled, beta), case.mask), before)
            for beta in (torch.full_like(case.beta, beta) for beta in [0.0, *sorted(betas)])
        ]
    )
    assert (divergence[0] == 0).all()
    assert (divergence.diff(dim=0) >= -1e-9).all()


@given(fusible())
def test_masked_tokens_stay_out(case: Fusible) -> None:
    log_probs = masked_log_softmax(beta_mix(case.reference, case.distilled, case.beta), case.mask)
    assert (log_probs[~case.mask] == -torch.inf).all()
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones_like(case.beta))


_ROWS, _WIDTH, _VOCABULARY = 3, 5, 40


@st.composite
def heads(draw: st.DrawFn) -> Head:
    """A head with or without bias, scale and soft-cap."""
    return Head(
        draw(tensors(_VOCABULARY, _WIDTH, bound=2.0)),
        draw(st.none() | tensors(_VOCABULARY, bound=2.0)),
        draw(st.sampled_from([1.0, 0.25, 3.0])),
        draw(st.none() | st.floats(1.0, 50.0)),
    )


hidden = tensors(_ROWS, _WIDTH, bound=3.0)
weights = tensors(_ROWS, bound=3.0)


@given(heads().filter(lambda head: head.linear), hidden, hidden, weights, weights)
def test_latent_mixing_equals_logit_mixing(head: Head, deep: Tensor, predicted: Tensor, a: Tensor, b: Tensor) -> None:
    wanted = a.unsqueeze(-1) * head.full(deep) - b.unsqueeze(-1) * head.full(predicted)
    # Head.mixed works in float32, as the explorer does.
    scale = float(wanted.abs().max()) + float(head.full(deep).abs().max()) + 1
    torch.testing.assert_close(head.mixed(deep, predicted, a, b).double(), wanted.double(), atol=1e-5 * scale, rtol=0)


@given(heads().filter(lambda head: head.linear), hidden, hidden, weights)
def test_latent_weights_of_beta_mix_equal_the_fusion(head: Head, deep: Tensor, predicted: Tensor, beta: Tensor) -> None:
    latent = BetaMix().latent_weights(beta)
    wanted = beta_mix(head.full(deep).double(), head.full(predicted).double(), beta)
    got = head.mixed(deep, predicted, latent.reference, latent.distilled).double()
    scale = float(wanted.abs().max()) + float(head.full(deep).abs().max()) + 1
    torch.testing.assert_close(got, wanted, atol=1e-5 * scale, rtol=0)


@given(heads(), hidden, masks(_ROWS, _VOCABULARY))
@pytest.mark.parametrize("share", [-1.0, 1.0], ids=["projected and gathered", "dot products"])
def test_candidates_only_equals_the_whole_vocabulary_masked(
    share: float, head: Head, hidden: Tensor, keep: Tensor
) -> None:
    full = head.full(hidden)
    count = keep.sum(-1)
    ids = torch.zeros(_ROWS, int(count.max()), dtype=torch.int64)
    mask = torch.arange(ids.shape[1]) < count.unsqueeze(-1)
    ids[mask] = keep.nonzero()[:, 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("esamp.head._DENSE_SHARE", share * ids.numel())
        got = head.at(hidden, Candidates(ids, torch.zeros(ids.shape), mask))
    torch.testing.assert_close(got[mask].double(), full[keep].double(), atol=1e-4, rtol=1e-4)
    assert (got[~mask] == 0).all()


@given(hidden, hidden, tensors(_VOCABULARY, _WIDTH, bound=2.0), weights)
def test_tilt_is_the_geometry_of_the_error(deep: Tensor, predicted: Tensor, weight: Tensor, beta: Tensor) -> None:
    """Δz = β ‖w‖ ‖e‖ cos(w, e) for a linear head."""
    reference, distilled = deep @ weight.T, predicted @ weight.T
    got = tilt_from_error(deep - predicted, weight, beta)
    scale = float(reference.abs().max() + distilled.abs().max() + 1)
    torch.testing.assert_close(got, beta_mix(reference, distilled, beta) - reference, atol=1e-6 * scale, rtol=1e-6)
