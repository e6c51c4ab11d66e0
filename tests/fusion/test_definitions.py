"""Each fusion against the equation that defines it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from esamp.functional import entropy, kl_divergence, masked_log_softmax
from esamp.fusion import (
    BetaMix,
    DirectionOnly,
    EntropyMatched,
    FusionStep,
    KLBudget,
    NormOnly,
    P1Weighted,
    RewardMix,
    Subtraction,
)
from esamp.rows import Rows

ROWS, CANDIDATES, D = 6, 9, 5
SEEDS = st.integers(0, 2**31)


def step(seed: int, *, beta: float = 0.7, temperature: float = 1.0, scale: float = 2.0) -> FusionStep:
    """A step of a linear head, whose logits belong to its hidden states."""
    generator = torch.Generator().manual_seed(seed)
    head = torch.randn(CANDIDATES, D, generator=generator)
    deep, predicted = (scale * torch.randn(ROWS, D, generator=generator) for _ in range(2))
    mask = torch.rand(ROWS, CANDIDATES, generator=generator) > 0.2
    mask[:, :2] = True
    return FusionStep(
        reference=deep @ head.T,
        distilled=predicted @ head.T,
        beta=torch.full((ROWS,), beta),
        mask=mask,
        ids=torch.arange(CANDIDATES).expand(ROWS, -1),
        temperature=torch.full((ROWS, 1), temperature),
        deep=deep,
        predicted=predicted,
        rows=Rows.of_prompts(torch.zeros(1, dtype=torch.int64), torch.full((1, ROWS), beta)),
    )


def log_probs(logits: torch.Tensor, shown: FusionStep) -> torch.Tensor:
    return masked_log_softmax((logits / shown.temperature).double(), shown.mask)


def test_beta_mix_and_subtraction_are_their_formulas():
    shown = step(0)
    torch.testing.assert_close(BetaMix()(shown), 1.7 * shown.reference - 0.7 * shown.distilled)
    torch.testing.assert_close(Subtraction()(shown), shown.reference - 0.7 * shown.distilled)


@given(SEEDS, st.sampled_from([0.5, 1.0, 1.7]))
def test_p1_scales_beta_by_the_models_doubt(seed, temperature):
    shown = step(seed, temperature=temperature)
    doubt = 1 - log_probs(shown.reference, shown).exp().amax(dim=-1)
    wanted = shown.reference + (0.7 * doubt).unsqueeze(-1).float() * (shown.reference - shown.distilled)
    torch.testing.assert_close(P1Weighted()(shown), wanted, atol=1e-4, rtol=1e-4)
    assert torch.equal(P1Weighted(power=0.0)(shown), BetaMix()(shown))


@given(SEEDS, st.sampled_from([0.01, 0.1, 1.0]), st.sampled_from([0.5, 1.0, 1.7]), st.sampled_from([0.1, 2.0, 30.0]))
def test_a_kl_budget_is_met_or_beta_is_at_its_bound(seed, epsilon, temperature, scale):
    shown = step(seed, temperature=temperature, scale=scale)
    got, bound, before = KLBudget(epsilon)(shown), BetaMix()(shown), log_probs(shown.reference, shown)
    kl = kl_divergence(log_probs(got, shown), before)
    full = kl_divergence(log_probs(bound, shown), before)
    met = (kl - epsilon).abs() <= 1e-4
    at_bound = (full <= epsilon + 1e-4) & (got == bound).all(dim=-1)
    assert (met | at_bound).all()


@given(SEEDS, st.sampled_from([0.5, 1.0, 1.7]), st.sampled_from([0.3, 2.0]))
def test_matched_entropies_agree(seed, temperature, scale):
    shown = step(seed, temperature=temperature, scale=scale)
    got = entropy(log_probs(EntropyMatched()(shown), shown))
    torch.testing.assert_close(got, entropy(log_probs(shown.reference, shown)), atol=1e-3, rtol=1e-3)


@given(SEEDS)
def test_matching_keeps_the_order_that_the_inner_fusion_gives(seed):
    shown = step(seed)
    inner = Subtraction()(shown).masked_fill(~shown.mask, -torch.inf)
    matched = EntropyMatched(Subtraction())(shown).masked_fill(~shown.mask, -torch.inf)
    assert torch.equal(inner.argsort(dim=-1), matched.argsort(dim=-1))


def test_direction_only_forgets_the_length_of_the_error():
    shown = step(1)
    error = shown.deep - shown.predicted
    pretended = 0.5 * shown.deep.norm(dim=-1) / error.norm(dim=-1)
    wanted = shown.reference + (0.7 * pretended).unsqueeze(-1) * (shown.reference - shown.distilled)
    torch.testing.assert_close(DirectionOnly(ratio=0.5)(shown), wanted)


def test_norm_only_is_sharpening_in_proportion_to_novelty():
    shown = step(2)
    factor = 1 + 0.7 * (shown.deep - shown.predicted).norm(dim=-1) / shown.deep.norm(dim=-1)
    wanted = log_probs(factor.unsqueeze(-1) * shown.reference, shown)
    torch.testing.assert_close(log_probs(NormOnly()(shown), shown), wanted, atol=1e-4, rtol=1e-4)


@given(SEEDS, st.sampled_from([-1.5, 0.8]), st.sampled_from([0.5, 1.0, 1.7]))
def test_reward_mix_is_the_optimum_of_its_own_objective(seed, gamma, temperature):
    shown = step(seed, temperature=temperature)
    bonus = torch.randn(CANDIDATES, generator=torch.Generator().manual_seed(seed))
    got = log_probs(RewardMix(lambda ids: bonus[ids], gamma)(shown), shown)
    reference, distilled = log_probs(shown.reference, shown), log_probs(shown.distilled, shown)
    rewards = torch.where(shown.mask, 0.7 * (reference - distilled) + gamma * bonus.double(), 0.0)

    def objective(policy):
        return (policy.exp() * rewards).sum(dim=-1) - kl_divergence(policy, reference)

    best = objective(got)
    for other in range(20):
        noise = torch.randn(ROWS, CANDIDATES, generator=torch.Generator().manual_seed(other), dtype=torch.float64)
        rival = masked_log_softmax(got.masked_fill(~shown.mask, 0.0) + 0.3 * noise, shown.mask)
        assert (objective(rival) <= best + 1e-6).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: KLBudget(0.0), r"epsilon must be a finite number in \(0, inf\), got 0.0"),
        (lambda: KLBudget(-1.0), "epsilon"),
        (lambda: P1Weighted(-1.0), "power"),
        (lambda: DirectionOnly(0.0), "ratio"),
        (lambda: RewardMix(gamma=float("nan")), "gamma"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
