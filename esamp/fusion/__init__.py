"""Novelty fusions: how the distiller's logits tilt the LLM's.

Examples:
    What each makes of the same step. Token 0 is as likely as the distiller has foreseen, token 1 is likelier: news.

    >>> from esamp.fusion import *
    >>> import torch
    >>> from esamp.rows import Rows
    >>> deep, predicted = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[2.0, 0.0, 0.0]])
    >>> step = FusionStep(
    ...     reference=deep,  # of a head that changes nothing
    ...     distilled=predicted,
    ...     beta=torch.tensor([0.5]),
    ...     mask=torch.ones(1, 3, dtype=torch.bool),
    ...     ids=torch.tensor([[0, 1, 2]]),
    ...     temperature=torch.ones(1, 1),
    ...     deep=deep,
    ...     predicted=predicted,
    ...     rows=Rows.of_prompts(torch.tensor([0]), torch.full((1, 1), 0.5)),
    ... )
    >>> step.reference.softmax(dim=-1)
    tensor([[0.6652, 0.2447, 0.0900]])
    >>> without_0 = RewardMix(lambda ids: -9.0 * (ids == 0))
    >>> rules = (BetaMix(), Subtraction(), P1Weighted(), KLBudget(0.01), EntropyMatched())
    >>> for fusion in (*rules, DirectionOnly(), NormOnly(), without_0):
    ...     probabilities = fusion(step).softmax(dim=-1)[0].tolist()
    ...     print(f"{type(fusion).__name__:<15}", *(f"{p:.2f}" for p in probabilities))
    BetaMix         0.57 0.35 0.08
    Subtraction     0.42 0.42 0.16
    P1Weighted      0.64 0.28 0.09
    KLBudget        0.61 0.31 0.08
    EntropyMatched  0.61 0.34 0.06
    DirectionOnly   0.56 0.36 0.08
    NormOnly        0.72 0.21 0.06
    RewardMix       0.00 0.82 0.18

    Those that remember are told of every step. A sibling has drawn token 1 here, and it has ended a sentence there:

    >>> from dataclasses import replace
    >>> rows = Rows.of_prompts(torch.tensor([0]), torch.full((1, 2), 0.5))
    >>> here = replace(step, rows=rows[torch.tensor([1])])
    >>> for memory in (SegmentNovelty(BetaMix(), shortest=1), ChoiceNovelty(BetaMix())):
    ...     attached = memory.attach(hidden_size=3, groups=1, texts=lambda: ["one", "two.", "three"])
    ...     attached.begin(lanes=2)
    ...     before = attached(here).softmax(dim=-1)[0, 1]
    ...     both = torch.cat([deep, -deep])
    ...     attached.observe(both, torch.tensor([1, 2]), rows, torch.tensor([True, True]))
    ...     after = attached(here).softmax(dim=-1)[0, 1]
    ...     print(type(memory).__name__, f"{before:.2f} {after:.2f}")
    SegmentNovelty 0.35 0.47
    ChoiceNovelty 0.35 0.10
    >>> fusions.build("kl_budget").epsilon
    0.1
"""

from esamp.fusion.base import FusionStep, LatentWeights, NoveltyFusion, fusions
from esamp.fusion.beta_mix import BetaMix
from esamp.fusion.choice_novelty import ChoiceNovelty
from esamp.fusion.direction_only import DirectionOnly
from esamp.fusion.entropy_matched import EntropyMatched
from esamp.fusion.kl_budget import KLBudget
from esamp.fusion.norm_only import NormOnly
from esamp.fusion.p1_weighted import P1Weighted
from esamp.fusion.reward_mix import RewardMix
from esamp.fusion.segment_novelty import SegmentNovelty
from esamp.fusion.subtraction import Subtraction
from esamp.fusion.wrapper import FusionWrapper

__all__ = [
    "BetaMix",
    "ChoiceNovelty",
    "DirectionOnly",
    "EntropyMatched",
    "FusionStep",
    "FusionWrapper",
    "KLBudget",
    "LatentWeights",
    "NormOnly",
    "NoveltyFusion",
    "P1Weighted",
    "RewardMix",
    "SegmentNovelty",
    "Subtraction",
    "fusions",
]
