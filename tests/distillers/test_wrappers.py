from __future__ import annotations

import copy

import pytest
import torch

from esamp.distillers import (
    ChoiceMemoryDistiller,
    FrozenDistiller,
    LinearDistiller,
    LowRankDistiller,
    NoiseDistiller,
    RecursiveLeastSquaresDistiller,
    VocabularyDistiller,
)
from esamp.head import Head
from esamp.llm import FrozenLLM

D, VOCABULARY = 16, 40


@pytest.fixture
def head():
    return Head(torch.randn(VOCABULARY, D, generator=torch.Generator().manual_seed(3)))


def batch(groups=2, rows=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(groups, rows, D, generator=generator), torch.randn(groups, rows, D, generator=generator)


def test_frozen_never_moves_and_reports_the_loss_of_what_it_predicts():
    distiller = FrozenDistiller(LowRankDistiller(rank=4, start="random"))
    distiller.setup(D, 2)
    before = copy.deepcopy(distiller.state_dict())
    shallow, deep = batch()
    loss = distiller.learn(shallow, deep, torch.ones(2, 3))
    torch.testing.assert_close(loss, (distiller(shallow) - deep).square().mean(dim=(1, 2)))
    assert all(torch.equal(before[name], value) for name, value in distiller.state_dict().items())


def test_noise_keeps_the_norm_of_the_error_and_nothing_of_its_direction():
    inner = LowRankDistiller(rank=4)
    distiller = NoiseDistiller(inner)
    distiller.setup(512, 2)
    generator = torch.Generator().manual_seed(0)
    shallow, deep = torch.randn(2, 8, 512, generator=generator), torch.randn(2, 8, 512, generator=generator)
    predicted = distiller(shallow)
    error, noise = deep - predicted, deep - distiller.revise(predicted, deep)
    torch.testing.assert_close(noise.norm(dim=-1), error.norm(dim=-1), rtol=1e-4, atol=0)
    cosine = torch.nn.functional.cosine_similarity(noise, error, dim=-1)
    assert cosine.abs().max() < 0.25  # 5 standard deviations in 512 dimensions
    rows = torch.nn.functional.normalize(noise.flatten(0, 1), dim=-1)
    # Equal lanes of slots that have learnt as often share their noise; other lanes do not.
    torch.testing.assert_close(rows[:8], rows[8:])
    assert (rows[:8] @ rows[:8].T - torch.eye(8)).abs().max() < 0.25


def test_noise_is_drawn_afresh_after_each_update():
    distiller = NoiseDistiller(LinearDistiller(lr=0.0))
    distiller.setup(D, 2)
    shallow, deep = batch()
    first = distiller.revise(distiller(shallow), deep)
    distiller.learn(shallow, deep, torch.tensor([[1.0, 1, 1], [0, 0, 0]]))
    second = distiller.revise(distiller(shallow), deep)
    assert not torch.allclose(first[0], second[0])
    assert torch.equal(first[1], second[1])  # the second group has not learnt


def test_vocabulary_descends_the_kl_between_the_two_distributions(head):
    distiller = VocabularyDistiller(LowRankDistiller(rank=8, lr=3e-2))
    distiller.bind(FrozenLLM(head))
    distiller.setup(D, 2)
    shallow, deep = batch()
    target, guess = head.full(deep[0]).log_softmax(-1), head.full(distiller(shallow)[0]).log_softmax(-1)
    wanted = (target.exp() * (target - guess)).sum(-1).mean()
    losses = [distiller.learn(shallow, deep, torch.ones(2, 3)) for _ in range(150)]
    torch.testing.assert_close(losses[0][0], wanted)
    assert (losses[-1] < 0.2 * losses[0]).all()


def test_vocabulary_refuses_a_distiller_without_gradients():
    with pytest.raises(TypeError, match=r"distiller must be a GradientDistiller, got RecursiveLeastSquares"):
        VocabularyDistiller(RecursiveLeastSquaresDistiller())


def test_choice_memory_comes_to_expect_the_tokens_that_siblings_drew(head):
    distiller = ChoiceMemoryDistiller(strength=6.0, distiller=RecursiveLeastSquaresDistiller(features=32, ridge=1e-3))
    distiller.bind(FrozenLLM(head))
    distiller.setup(D, 1)
    shallow, deep = batch(groups=1)
    tokens = torch.tensor([7, 8, 9])
    for _ in range(3):
        distiller.learn(shallow, distiller.target(deep[0], tokens)[None], torch.ones(1, 3))
    expected = head.full(distiller(shallow)[0])
    torch.testing.assert_close(expected[torch.arange(3), tokens], torch.full((3,), 6.0), atol=0.2, rtol=0)


@pytest.mark.parametrize("call", ["learn", "target"])
def test_what_needs_the_head_says_so_when_it_was_not_bound(call):
    shallow, deep = batch()
    with pytest.raises(RuntimeError, match="before bind"):
        if call == "target":
            ChoiceMemoryDistiller().target(deep[0], torch.zeros(3, dtype=torch.int64))
        else:
            distiller = VocabularyDistiller(LowRankDistiller(rank=4))
            distiller.setup(D, 2)
            distiller.learn(shallow, deep, torch.ones(2, 3))
