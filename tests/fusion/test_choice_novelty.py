"""Choice novelty: away from the tokens that were drawn in like contexts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from esamp import ESampSampler
from esamp.fusion import BetaMix, ChoiceNovelty, FusionStep
from esamp.rows import Rows
from esamp.testing.models import tiny_model, tiny_tokenizer

PROBS = torch.tensor([0.5, 0.3, 0.2])
EAST, NORTH = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0, 0.0])


class Groups:
    """Rows whose hidden state and tokens are given; all have the distribution `PROBS`."""

    def __init__(self, lanes: int = 1, groups: int = 1, **arguments) -> None:
        self.fusion = ChoiceNovelty(features=256, **arguments).attach(4, groups, tuple[str])
        self.fusion.begin(lanes)
        ones = torch.ones(groups, lanes)
        self.rows = Rows.of_prompts(torch.arange(groups), ones)

    def choose(self, deep: list[Tensor], tokens: list[int], alive: list[bool] | None = None) -> None:
        living = torch.ones(len(tokens), dtype=torch.bool) if alive is None else torch.tensor(alive)
        self.fusion.observe(torch.stack(deep), torch.tensor(tokens), self.rows, living)

    def probs(self, deep: list[Tensor], beta: float = 1.0, temperature: float = 1.0, shift: float = 0.0) -> Tensor:
        """The distribution of each row, [rows, 3]."""
        reference = temperature * PROBS.log().expand(len(deep), -1) + shift
        step = FusionStep(
            reference=reference,
            distilled=reference,
            beta=torch.full((len(deep),), beta),
            mask=torch.ones_like(reference, dtype=torch.bool),
            ids=torch.arange(3).expand(len(deep), -1),
            temperature=torch.full((len(deep), 1), temperature),
            deep=torch.stack(deep),
            predicted=torch.stack(deep),
            rows=self.rows,
        )
        return (self.fusion(step) / temperature).softmax(dim=-1)


def by_formula(counts: list[float], gain: float, prior: float) -> Tensor:
    seen = torch.tensor(counts)
    tilted = PROBS * (PROBS / ((prior * PROBS + seen) / (prior + seen.sum()))) ** gain
    return tilted / tilted.sum()


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
def test_the_same_context_is_counted_whole_and_the_formula_holds(temperature: float) -> None:
    group = Groups(gain=1.5, prior=0.7)
    for token in (1, 1, 0):
        group.choose([EAST], [token])
    (found,) = group.probs([3 * EAST], temperature=temperature)
    torch.testing.assert_close(found, by_formula([1, 2, 0], 1.5, 0.7))


def test_nothing_is_tilted_where_nothing_like_it_was_seen() -> None:
    group = Groups(bandwidth=0.05)
    torch.testing.assert_close(group.probs([EAST])[0], PROBS)
    group.choose([EAST], [0])
    torch.testing.assert_close(group.probs([NORTH])[0], PROBS, atol=1e-5, rtol=0)
    assert group.probs([EAST])[0, 0] < 0.3


def test_the_less_alike_the_less_is_tilted() -> None:
    group = Groups(bandwidth=0.2)
    group.choose([EAST], [0])
    turned = [EAST * (1 - share) + NORTH * share for share in (0.0, 0.2, 0.4, 0.7, 1.0)]
    found = [float(group.probs([deep])[0, 0]) for deep in turned]
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.2


def test_shares_as_expected_leave_the_distribution_alone_and_rare_tokens_are_not_chosen_again() -> None:
    group = Groups()
    for token in [0] * 5 + [1] * 3 + [2] * 2:
        group.choose([EAST], [token])
    torch.testing.assert_close(group.probs([EAST])[0], PROBS)
    rare = Groups()
    rare.choose([EAST], [2])
    assert rare.probs([EAST])[0, 2] < 0.05


def test_beta_zero_is_the_inner_fusion_to_the_last_bit() -> None:
    group = Groups()
    group.choose([EAST], [0])
    assert torch.equal(group.probs([EAST], beta=0.0), PROBS.log().expand(1, -1).softmax(dim=-1))


def test_groups_do_not_see_each_other_dead_rows_do_not_count_and_reset_forgets() -> None:
    groups = Groups(groups=2)
    groups.choose([EAST, EAST], [0, 1], alive=[True, False])
    found = groups.probs([EAST, EAST])
    torch.testing.assert_close(found[0], by_formula([1, 0, 0], 2.0, 1.0))
    torch.testing.assert_close(found[1], PROBS)
    groups.fusion.reset(torch.tensor([True, False]))
    torch.testing.assert_close(groups.probs([EAST, EAST])[0], PROBS)


def test_siblings_of_one_step_count_all_and_the_oldest_choices_make_room() -> None:
    group = Groups(lanes=3, capacity=4)
    group.choose([EAST] * 3, [0, 0, 1])
    torch.testing.assert_close(group.probs([EAST] * 3)[1], by_formula([2, 1, 0], 2.0, 1.0))
    group.choose([EAST] * 3, [2, 2, 2])
    torch.testing.assert_close(group.probs([EAST] * 3)[1], by_formula([0, 1, 3], 2.0, 1.0))


def test_memory_with_garbage_in_dead_rows_stays_finite() -> None:
    group = Groups(lanes=2)
    group.choose([EAST, torch.full((4,), torch.nan)], [0, 1], alive=[True, False])
    assert group.probs([EAST, EAST]).isfinite().all()


def test_a_model_repeats_its_siblings_less() -> None:
    model, tokenizer = tiny_model(), tiny_tokenizer()

    def different(**parts: object) -> int:
        sampler = ESampSampler(model, tokenizer, beta=1.0, distiller="frozen", **parts)
        result = sampler.generate("ab", 24, max_new_tokens=1, waves=24, ignore_eos=True, top_k=40, min_p=None)
        return len({int(sample.token_ids[0]) for sample in result.samples[0]})

    assert different(fusion=ChoiceNovelty(BetaMix(), gain=4.0)) > different(fusion="beta_mix")


@pytest.mark.parametrize(
    ("argument", "value"),
    [("gain", -1.0), ("prior", 0.0), ("bandwidth", 0.0), ("features", 0), ("capacity", 0)],
)
def test_what_is_out_of_range_is_refused_by_name(argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=argument):
        ChoiceNovelty(**{argument: value})
