"""One decode step: the formula, warm-up, what a distiller is told, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from esamp.candidates import Filters
from esamp.distillers import Distiller, GradientDistiller, MLPDistiller
from esamp.distillers.gradient import Weights
from esamp.distillers.optimizers import Adam
from esamp.explorer import Explorer
from esamp.head import Head
from tests.properties.bank import ALL, LANES, SOME, WIDTH, explorer, grid, head, of, over_vocabulary, plain, run, step

_modes = pytest.mark.parametrize("prefilter", [False, True], ids=["post-filter", "pre-filter"])


@_modes
@pytest.mark.parametrize("softcap", [None, 4.0], ids=["linear head", "soft-capped head"])
def test_a_step_is_the_papers_formula(prefilter: bool, softcap: float | None) -> None:
    """softmax of ((1 + β) z - β ẑ) / T, on what the filters keep of z, or of the fused logits themselves."""
    lm_head = replace(head(), softcap=softcap)
    filters, beta = Filters(temperature=0.7, min_p=0.05), torch.tensor([[0.25, 0.5, 2.0]])
    bank = of(MLPDistiller(width=8), 1, filters, lm_head, prefilter=prefilter)
    rows = grid(1, beta)
    first, taken = (replace(it, reference=lm_head.full(it.deep)) for it in (step(rows, 0), step(rows, 1)))
    run(bank, first)
    with torch.no_grad():
        predicted = bank.bank.distiller(taken.shallow.unsqueeze(0)).squeeze(0)
    strength = beta.T
    mixed = (1 + strength) * taken.reference - strength * lm_head.full(predicted)
    kept = filters.keep(mixed if prefilter else taken.reference)
    wanted = (mixed / 0.7).masked_fill(~kept, -torch.inf).log_softmax(-1)
    before = (taken.reference / 0.7).masked_fill(~kept, -torch.inf).log_softmax(-1)
    fused = run(bank, taken)
    torch.testing.assert_close(over_vocabulary(fused), wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fused.error_norm, (taken.deep - predicted).norm(dim=-1))
    divergence = (wanted.exp() * (wanted - before).nan_to_num(0.0)).sum(-1)
    torch.testing.assert_close(fused.kl, divergence, atol=1e-4, rtol=1e-3)


def test_the_recipe_is_left_alone() -> None:
    recipe = MLPDistiller(width=8)
    bank = of(recipe)
    run(bank, step(grid(1), 0))
    assert list(recipe.buffers()) == []


def test_half_precision_states_are_taken_as_float32() -> None:
    lm_head = Head(head().weight.bfloat16())
    bank = of(MLPDistiller(width=8), lm_head=lm_head)
    for seed in range(2):
        taken = step(grid(1), seed)
        fused = run(bank, replace(taken, shallow=taken.shallow.bfloat16(), deep=taken.deep.bfloat16()))
        assert {fused.logits.dtype, fused.log_probs.dtype, fused.error_norm.dtype} == {torch.float32}
    assert {value.dtype for value in bank.bank.distiller.buffers() if value.is_floating_point()} == {torch.float32}
    assert bank.bank.distiller.get_buffer("weight_gate_up_0").shape[1] == WIDTH


def test_a_recycled_slot_forgets_its_resets_and_updates() -> None:
    bank, distiller = _watched()
    distiller.says = torch.tensor([torch.nan, 0.0])
    run(bank, step(grid(2), 0))
    assert (bank.resets().tolist(), bank.bank.updates.tolist()) == ([1, 0], [0, 1])
    bank.recycle(torch.tensor([0, 1]))
    assert (bank.resets().tolist(), bank.bank.updates.tolist()) == ([0, 0], [0, 0])
    assert distiller.forgotten[-1] == [True, True]


def test_before_the_first_step_there_are_no_losses() -> None:
    assert explorer(2).losses().isnan().all()
    assert explorer(2).resets().tolist() == [0, 0]


class _Watched(Distiller):
    """Predicts zero; notes what it is taught and what is reset, and says what losses it is told to say."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[torch.Tensor] = []
        self.taught: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self.forgotten: list[list[bool]] = []
        self.says = torch.zeros(2)

    def setup(self, hidden_size: int, groups: int, device: object = "cpu") -> None:
        self.register_buffer("nothing", torch.zeros(groups))

    def forward(self, shallow: torch.Tensor) -> torch.Tensor:
        self.asked.append(shallow)
        return torch.zeros_like(shallow)

    def learn(self, shallow: torch.Tensor, deep: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        self.taught.append((shallow, deep, weight))
        return self.says

    def reset(self, mask: torch.Tensor) -> None:
        self.forgotten.append(mask.tolist())


def _watched() -> tuple[Explorer, _Watched]:
    bank = of(_Watched(), groups=2)
    assert isinstance(bank.bank.distiller, _Watched)
    return bank, bank.bank.distiller


def test_a_loss_that_is_no_number_resets_its_slot() -> None:
    bank, distiller = _watched()
    for seed, says in enumerate(([0.0, 0.0], [torch.nan, 0.0], [0.0, torch.inf])):
        distiller.says = torch.tensor(says)
        run(bank, step(grid(2), seed))
    assert distiller.forgotten == [[True, False], [False, True]]
    assert bank.resets().tolist() == [1, 1]
    assert bank.bank.updates.tolist() == [1, 0]


def test_a_distiller_is_taught_the_rows_that_count_from_the_tensor_it_predicted_from() -> None:
    bank, distiller = _watched()
    taken = step(grid(2)[torch.tensor([5, 0, 3, 1])], 0)
    taken = replace(taken, alive=torch.tensor([True, True, False, True]))
    taken.deep[3, 0] = torch.nan
    run(bank, taken)
    ((shallow, deep, weight),) = distiller.taught
    # (slot, lane) of the rows: (1, 2) and (0, 0) count; (1, 0) is not alive and (0, 1) holds NaN.
    assert weight.tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert torch.equal(shallow[1, 2], taken.shallow[0])
    assert torch.equal(deep[0, 0], taken.deep[1])
    assert (deep[weight == 0] == 0).all()
    assert shallow is distiller.asked[0]


class _Counted(GradientDistiller):
    """A linear map that counts its forward passes."""

    def __init__(self) -> None:
        super().__init__(Adam())
        self.passes = 0

    def init_parameters(self, hidden_size: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"map": torch.eye(hidden_size)}

    def predict(self, weights: Weights, shallow: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return torch.bmm(shallow, weights["map"])


def test_a_step_takes_one_forward_pass() -> None:
    bank = of(_Counted(), groups=2)
    counted = bank.bank.distiller
    assert isinstance(counted, _Counted)
    for seed in range(3):
        taken = step(grid(2)[torch.tensor([5, 0, 3, 1])], seed)
        run(bank, replace(taken, alive=torch.tensor([True, True, False, True])))
    assert counted.passes == 3
    # A prompt is learnt from without having been predicted.
    tokens, alive = torch.zeros(len(taken.rows), dtype=torch.int64), torch.ones(len(taken.rows), dtype=torch.bool)
    bank.prefill(taken.shallow, taken.deep, tokens, taken.rows, alive)
    assert counted.passes == 4


def test_numbers_that_are_none_reach_no_distiller() -> None:
    bank, distiller = _watched()
    taken = step(grid(2), 0)
    taken.shallow[1, 2], taken.shallow[3, 0] = torch.nan, torch.inf
    assert run(bank, taken).error_norm.isnan().tolist() == [False, True, False, True, False, False]
    ((shallow, _, weight),) = distiller.taught
    assert weight.tolist() == [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
    assert shallow.isfinite().all()
    assert bank.resets().tolist() == [1, 1]


@_modes
@pytest.mark.parametrize("warmup", [1, 2, 4])
def test_fusion_waits_for_the_warmup(warmup: int, prefilter: bool) -> None:
    bank = explorer(2, ALL if prefilter else SOME, warmup=warmup, prefilter=prefilter)
    rows = grid(2)
    for seed in range(warmup):
        taken = step(rows, seed)
        fused = run(bank, taken)
        assert torch.equal(over_vocabulary(fused), plain(taken, bank.filters))
        assert (fused.kl == 0).all()
    fused = run(bank, step(rows, warmup))
    assert (fused.kl > 0).all()


def test_a_step_without_living_rows_is_no_update() -> None:
    bank = explorer(2)
    alive = torch.tensor([True] * LANES + [False] * LANES)
    run(bank, replace(step(grid(2), 0), alive=alive))
    assert bank.bank.updates.tolist() == [1, 0]
    assert bank.losses().isnan().tolist() == [False, True]
    fused = run(bank, step(grid(2), 1))
    assert (fused.kl > 0).tolist() == [True] * LANES + [False] * LANES


def test_prefilter_lets_fusion_choose_the_candidates() -> None:
    taken = step(grid(1, 3.0), 3)
    kept = {}
    for prefilter in (False, True):
        bank = explorer(1, SOME, prefilter=prefilter)
        run(bank, step(grid(1, 3.0), 2))
        kept[prefilter] = over_vocabulary(run(bank, taken)) > -torch.inf
    assert torch.equal(kept[False], SOME.keep(head().full(taken.deep)))
    assert not torch.equal(kept[False], kept[True])


@pytest.mark.parametrize("call", ["fuse", "learn"])
def test_steps_out_of_order_are_refused(call: str) -> None:
    bank, taken = explorer(1), step(grid(1), 0)
    run(bank, taken)
    arguments = (taken.deep, taken.reference) if call == "fuse" else (taken.deep, torch.zeros(LANES, dtype=torch.int64))
    with pytest.raises(RuntimeError, match=f"Explorer.{call} was called before begin"):
        getattr(bank, call)(*arguments)


@pytest.mark.parametrize(("value", "kind"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_warmup_is_checked(value: float, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="warmup"):
        explorer(1, warmup=value)
