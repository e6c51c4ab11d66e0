"""The contracts of novelty fusions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from esamp.functional import masked_log_softmax
from esamp.fusion import FusionStep, NoveltyFusion
from esamp.rows import Rows
from esamp.testing.contract import Contract, check_all, contract, require
from esamp.testing.memories import MEMORY_CONTRACTS

__all__ = ["FUSION_CONTRACTS", "check_fusion"]

Make = Callable[[], NoveltyFusion]

_TOLERANCE = 1e-4


def _fuse(fusion: NoveltyFusion, step: FusionStep) -> Tensor:
    """The fused logits, from copies: what a fusion does to its arguments stays without consequence."""
    return fusion(copy.deepcopy(step))


def _log_probs(fusion: NoveltyFusion, step: FusionStep) -> Tensor:
    """The distribution, which is all that counts: a constant of the row is free."""
    return masked_log_softmax(_fuse(fusion, step) / step.temperature, step.mask)


def _rows(step: FusionStep, index: Tensor) -> FusionStep:
    """The step of some rows, in that order."""
    return FusionStep(**{name: value[index] for name, value in vars(step).items()})


def _columns(step: FusionStep, index: Tensor) -> FusionStep:
    """The step with its candidates in another order."""
    moved = {name: getattr(step, name)[:, index] for name in ("reference", "distilled", "mask", "ids")}
    return replace(step, **moved)


def _ordinary(rows: int = 6, candidates: int = 9) -> FusionStep:
    """Logits of ordinary size, a β of its own for each row (0 in two of them), empty places at the end of the list."""
    generator = torch.Generator().manual_seed(0)
    reference = 3 * torch.randn(rows, candidates, generator=generator)
    distilled = reference + torch.randn(rows, candidates, generator=generator)
    deep, predicted = torch.randn(2, rows, 8, generator=generator)
    beta = torch.linspace(0.1, 1.0, rows)
    beta[1::3] = 0.0
    count = 1 + (torch.arange(rows) * 4) % candidates
    return FusionStep(
        reference=reference,
        distilled=distilled,
        beta=beta,
        mask=torch.arange(candidates) < count.unsqueeze(-1),
        ids=torch.arange(candidates).expand(rows, -1),
        temperature=torch.full((rows, 1), 0.8),
        deep=deep,
        predicted=predicted,
        rows=Rows.of_prompts(torch.zeros(1, dtype=torch.int64), beta.unsqueeze(0)),
    )


def _extreme() -> Iterator[tuple[str, FusionStep]]:
    """Logits as a broken distiller or a very sure model makes them."""
    case = _ordinary()
    far = 1e4 * case.reference.sign()
    one = torch.zeros_like(case.mask).index_fill_(1, torch.tensor(0), True)
    yield "reference logits of ±1e4", replace(case, reference=far)
    yield "distilled logits of ±1e4", replace(case, distilled=far)
    yield "reference and distilled logits of ±1e4 and opposite signs", replace(case, reference=far, distilled=-far)
    yield "tied reference logits", replace(case, reference=torch.zeros_like(far))
    yield "tied distilled logits", replace(case, distilled=torch.zeros_like(far))
    yield "equal reference and distilled logits", replace(case, distilled=case.reference.clone())
    yield "one candidate in each row", replace(case, mask=one)
    yield "one candidate of -1e4 in each row", replace(case, reference=torch.full_like(far, -1e4), mask=one)
    yield "β = 10", replace(case, beta=torch.full_like(case.beta, 10.0))


def _gap(got: Tensor, wanted: Tensor, mask: Tensor) -> float:
    """Largest difference where the mask holds."""
    return float((got - wanted).masked_fill(~mask, 0.0).abs().max())


@contract("fused logits are float32 and have the shape of the reference")
def _shape(make: Make) -> None:
    for rows, candidates in ((6, 9), (1, 1), (2, 300), (0, 4)):
        case = _ordinary(rows, candidates)
        fused = _fuse(make(), case)
        require(fused.shape == (rows, candidates), f"({rows}, {candidates}) became {tuple(fused.shape)}")
        require(fused.dtype == torch.float32, f"float32 became {fused.dtype}")


@contract("the arguments are left as they are")
def _pure(make: Make) -> None:
    case = _ordinary()
    kept = copy.deepcopy(case)
    make()(case)
    for name, before in vars(kept).items():
        now = getattr(case, name)
        pairs = zip(vars(now).values(), vars(before).values(), strict=True) if name == "rows" else [(now, before)]
        tensors = (pair for pair in pairs if isinstance(pair[1], Tensor))
        require(all(torch.equal(*pair) for pair in tensors), f"{name} was overwritten")


@contract("β = 0 is the identity, row by row and to the last bit")
def _identity(make: Make) -> None:
    for name, case in [("ordinary logits", _ordinary()), *_extreme()]:
        for beta in (case.beta * (torch.arange(len(case.beta)) % 2), torch.zeros_like(case.beta)):
            fused = _fuse(make(), replace(case, beta=beta))
            same = (fused == case.reference) | ~case.mask
            changed = ((beta == 0) & ~same.all(dim=-1)).nonzero().flatten().tolist()
            require(not changed, f"with {name} and β = {beta.tolist()}, rows {changed} differ from the reference")


@contract("a constant added to a row's reference or distilled logits does not change its distribution")
def _constants(make: Make) -> None:
    case = _ordinary()
    before = _log_probs(make(), case).exp()
    shift = torch.linspace(-5.0, 5.0, len(case.beta)).unsqueeze(-1)
    for name in ("reference", "distilled"):
        after = _log_probs(make(), replace(case, **{name: getattr(case, name) + shift})).exp()
        gap = _gap(after, before, case.mask)
        require(gap < _TOLERANCE, f"a constant added to {name} moved a probability by {gap:.2g}")


@contract("permuting candidates or rows permutes the result")
def _equivariance(make: Make) -> None:
    case = _ordinary()
    before = _log_probs(make(), case).exp()
    columns = torch.randperm(case.mask.shape[1], generator=torch.Generator().manual_seed(1))
    rows = torch.randperm(case.mask.shape[0], generator=torch.Generator().manual_seed(2))
    wide = _columns(case, columns)
    gap = _gap(_log_probs(make(), wide).exp(), before[:, columns], wide.mask)
    require(gap < _TOLERANCE, f"another order of the candidates moved a probability by {gap:.2g}")
    tall = _rows(case, rows)
    gap = _gap(_log_probs(make(), tall).exp(), before[rows], tall.mask)
    require(gap < _TOLERANCE, f"another order of the rows moved a probability by {gap:.2g}")


@contract("rows never mix")
def _rows_apart(make: Make) -> None:
    case = _ordinary()
    before = _fuse(make(), case)
    other = torch.arange(len(case.beta)) % 2 == 1
    changed = replace(
        case,
        reference=torch.where(other.unsqueeze(-1), 1e4 * case.distilled, case.reference),
        distilled=torch.where(other.unsqueeze(-1), -1e4 * case.reference, case.distilled),
        beta=torch.where(other, 3.0, case.beta),
    )
    gap = _gap(_fuse(make(), changed)[~other], before[~other], case.mask[~other])
    require(gap == 0.0, f"other logits and another β in odd rows moved even rows by {gap:.2g}")


@contract("empty places do not influence the others")
def _empty_places(make: Make) -> None:
    case = _ordinary()
    before = _fuse(make(), case)
    for value in (0.0, 1e4, -1e4):
        filled = replace(
            case,
            reference=case.reference.masked_fill(~case.mask, value),
            distilled=case.distilled.masked_fill(~case.mask, -value),
        )
        gap = _gap(_fuse(make(), filled), before, case.mask)
        require(gap == 0.0, f"{value:g} in empty places moved a logit by {gap:.2g}")
    padding = torch.zeros(len(case.beta), 5)
    wider = replace(
        case,
        reference=torch.cat([case.reference, padding], dim=1),
        distilled=torch.cat([case.distilled, padding], dim=1),
        mask=torch.cat([case.mask, padding.bool()], dim=1),
        ids=torch.cat([case.ids, padding.long()], dim=1),
    )
    gap = _gap(_log_probs(make(), wider)[:, :-5].exp(), _log_probs(make(), case).exp(), case.mask)
    require(gap < _TOLERANCE, f"five more empty places moved a probability by {gap:.2g}")


@contract("the result is finite wherever the mask holds")
def _finite(make: Make) -> None:
    for name, case in _extreme():
        fused = _fuse(make(), case)
        require(bool((fused.isfinite() | ~case.mask).all()), f"with {name} it gave {fused[case.mask].tolist()}")


@contract("latent weights (a, b), where there are any, give the fusion as a·z - b·ẑ up to a constant of the row")
def _latent(make: Make) -> None:
    case = _ordinary()
    weights = make().latent_weights(case.beta)
    if weights is None:
        return
    a, b = weights.reference.unsqueeze(-1), weights.distilled.unsqueeze(-1)
    got = masked_log_softmax((a * case.reference - b * case.distilled) / case.temperature, case.mask).exp()
    gap = _gap(got, _log_probs(make(), case).exp(), case.mask)
    require(gap < _TOLERANCE, f"a·z - b·ẑ differs from the fusion by a probability of {gap:.2g}")
    off = case.beta == 0
    exact = bool((weights.reference[off] == 1).all() and (weights.distilled[off] == 0).all())
    require(exact, f"at β = 0 they are ({weights.reference[off].tolist()}, {weights.distilled[off].tolist()})")


FUSION_CONTRACTS: tuple[Contract[NoveltyFusion], ...] = (
    _shape,
    _pure,
    _identity,
    _constants,
    _equivariance,
    _rows_apart,
    _empty_places,
    _finite,
    _latent,
    *MEMORY_CONTRACTS,
)
"""All contracts of fusions, for parametrising a test over them."""


def check_fusion(make: Make) -> None:
    """Hold a fusion to every contract of its zoo.

    Args:
        make: gives a fresh fusion; the class itself, where its constructor needs no arguments.

    Raises:
        ContractError: a contract is broken; the message names it and the class.

    Examples:
        >>> from esamp.fusion import BetaMix
        >>> check_fusion(BetaMix)
    """
    check_all(FUSION_CONTRACTS, make)
