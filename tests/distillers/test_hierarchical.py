from __future__ import annotations

import pytest
import torch

from esamp.distillers import (
    FrozenDistiller,
    HierarchicalDistiller,
    LinearDistiller,
    LowRankDistiller,
    MLPDistiller,
    VocabularyDistiller,
)
from esamp.head import Head
from esamp.llm import FrozenLLM

D = 16


def make(domain: bool = False) -> HierarchicalDistiller:
    level = LinearDistiller(lr=1e-2) if domain else None
    return HierarchicalDistiller(trunk=LinearDistiller(lr=1e-2), leaf=LinearDistiller(lr=1e-2), domain=level)


def learn(distiller, shallow, deep, steps=300):
    weight = torch.ones(shallow.shape[:2])
    return [distiller.learn(shallow, deep, weight) for _ in range(steps)]


def test_the_leaf_learns_what_the_trunk_leaves_unexplained():
    generator = torch.Generator().manual_seed(0)
    shallow = torch.randn(3, 8, D, generator=generator)
    common = torch.randn(1, 1, D, generator=generator)
    own = torch.randn(3, 1, D, generator=generator)
    distiller = make()
    distiller.setup(D, 3)
    losses = learn(distiller, shallow, (common + own).expand(3, 8, D))
    assert (losses[-1] < 0.05 * losses[0]).all()
    # What all groups share is in the trunk: a new leaf starts from it.
    trunk = distiller.trunk(shallow).mean(dim=(0, 1))
    shared = (common + own.mean(dim=0, keepdim=True))[0, 0]
    assert (trunk - shared).norm() < 0.2 * shared.norm()


def test_a_recycled_slot_gets_a_new_leaf_and_keeps_the_trunk():
    generator = torch.Generator().manual_seed(1)
    shallow, deep = torch.randn(2, 4, D, generator=generator), torch.randn(2, 4, D, generator=generator)
    distiller = make()
    distiller.setup(D, 2)
    learn(distiller, shallow, deep, steps=20)
    trunk, kept = distiller.trunk(shallow), distiller(shallow)[1]
    distiller.reset(torch.tensor([True, False]))
    torch.testing.assert_close(distiller(shallow)[0], trunk[0])  # a linear leaf starts at zero
    assert torch.equal(distiller(shallow)[1], kept)


def test_domains_learn_together_and_apart_from_other_domains():
    generator = torch.Generator().manual_seed(2)
    shallow = torch.randn(3, 4, D, generator=generator)
    deep = torch.stack([torch.full((4, D), 1.0), torch.full((4, D), 1.0), torch.full((4, D), -2.0)])
    distiller = HierarchicalDistiller(
        trunk=FrozenDistiller(LinearDistiller()),
        leaf=FrozenDistiller(LinearDistiller()),
        domain=LinearDistiller(lr=1e-2),
    )
    distiller.setup(D, 3)
    distiller.assign_domains(torch.tensor([0, 0, 1]))
    learn(distiller, shallow, deep)
    predicted = distiller(shallow[:1].expand(3, 4, D))
    assert torch.equal(predicted[0], predicted[1])
    assert predicted[0].mean() > 0.8
    assert not torch.allclose(predicted[0], predicted[2], atol=0.5)


def test_a_broken_trunk_is_replaced_without_harm_to_what_comes_after():
    distiller = make()
    distiller.setup(D, 2)
    shallow = torch.randn(2, 4, D)
    distiller.trunk.distiller.get_buffer("weight_matrix").fill_(torch.nan)
    learn(distiller, shallow, shallow, steps=1)
    assert distiller.trunk(shallow).isfinite().all()


def test_a_prompt_costs_twenty_times_less_memory_than_with_the_papers_mlp():
    assert MLPDistiller().memory(576) >= 20 * HierarchicalDistiller().memory(576)
    # The leaf, and whose slot of the trunk it is.
    assert HierarchicalDistiller().memory(576) == LowRankDistiller(rank=8).memory(576) + 8


def test_domains_need_a_domain_level():
    distiller = make()
    distiller.setup(D, 2)
    with pytest.raises(ValueError, match=r"without a level of them; give it one: domain="):
        distiller.assign_domains(torch.zeros(2, dtype=torch.int64))


def test_every_level_is_shown_the_head():
    distiller = HierarchicalDistiller(
        trunk=VocabularyDistiller(LowRankDistiller(rank=2)), leaf=VocabularyDistiller(LowRankDistiller(rank=2))
    )
    distiller.bind(FrozenLLM(Head(torch.randn(20, D, generator=torch.Generator().manual_seed(0)))))
    distiller.setup(D, 2)
    assert learn(distiller, torch.randn(2, 3, D), torch.randn(2, 3, D), steps=1)[0].isfinite().all()
