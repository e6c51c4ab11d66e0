"""Logits of candidates, their mix, and the draw: the reference's, with the CPU's own noise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from torch import Tensor

from esamp.kernels.candidate_head import candidate_draw, candidate_logits, candidate_mix, reference
from esamp.kernels.noise import gumbel
from esamp.noise import gumbel_noise, philox
from tests.kernels.interpreted.banks import gaussian

# Dot products are float32 whatever W is, and W is the same on both sides: (dtype, atol, rtol).
_TOLERANCES = [(torch.float32, 1e-5, 1e-5), (torch.float16, 1e-5, 1e-5), (torch.bfloat16, 1e-5, 1e-5)]
_precise = pytest.mark.parametrize(("dtype", "atol", "rtol"), _TOLERANCES, ids=str)
_HEADS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bias": {"bias": True},
    "scaled": {"bias": True, "scale": 0.5},
    "capped": {"bias": True, "scale": 2.0, "softcap": 3.0},
}
# rows, d, vocabulary, candidates.
_SHAPES = [(5, 576, 400, 19), (3, 1271, 50, 1), (0, 64, 16, 2), (4, 64, 100, 0)]


def _case(rows: int, d: int, vocabulary: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(d)
    ids = torch.randint(0, vocabulary, (rows, width), generator=generator)
    mask = torch.rand(rows, width, generator=generator) < 0.6
    mask[:, :1] = True
    mask[2:3] = False  # a row without any candidate
    return gaussian(rows, d), (gaussian(vocabulary, d, seed=1) * d**-0.5).to(dtype), ids, mask


def _options(name: str, vocabulary: int, dtype: torch.dtype) -> dict[str, Any]:
    options = dict(_HEADS[name])
    if "bias" in options:
        options["bias"] = gaussian(vocabulary, seed=2, dtype=dtype)
    return options


def _wide(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value.double() if isinstance(value, Tensor) else value for name, value in options.items()}


@_precise
@pytest.mark.parametrize("name", _HEADS)
@pytest.mark.parametrize("shape", _SHAPES, ids=str)
def test_logits_are_the_formulas(
    shape: tuple[int, int, int, int], name: str, dtype: torch.dtype, atol: float, rtol: float
) -> None:
    hidden, weight, ids, mask = _case(*shape, dtype)
    options = _options(name, shape[2], dtype)
    got = candidate_logits(hidden, weight, ids, mask, **options)
    wanted = reference.logits(hidden.double(), weight.double(), ids, mask, **_wide(options))
    torch.testing.assert_close(got.double(), wanted, atol=atol, rtol=rtol)
    assert (got[~mask] == 0).all()


@pytest.mark.parametrize("ablation", [False, True], ids=["mix", "subtraction"])
@pytest.mark.parametrize("temperature", [None, 0.7])
@pytest.mark.parametrize("shape", _SHAPES, ids=str)
def test_the_mix_is_the_fusions(shape: tuple[int, int, int, int], temperature: float | None, ablation: bool) -> None:
    hidden, weight, ids, mask = _case(*shape, torch.float32)
    z, b = gaussian(*ids.shape, seed=3), torch.linspace(0, 2, len(ids))
    a = torch.ones_like(b) if ablation else None
    heat = None if temperature is None else torch.full((len(ids), 1), temperature)
    got = candidate_mix(hidden, weight, ids, mask, z, b, a, heat)
    distilled = reference.logits(hidden.double(), weight.double(), ids, mask)
    wanted = reference.mix(distilled, mask, z.double(), b.double(), a, heat)
    torch.testing.assert_close(got.double(), wanted, atol=2e-5, rtol=1e-5)


def test_a_row_with_beta_zero_keeps_its_logits_to_the_last_bit() -> None:
    hidden, weight, ids, mask = _case(5, 64, 100, 9, torch.float32)
    z = gaussian(5, 9, seed=3)
    got = candidate_mix(hidden, weight, ids, mask, z, torch.zeros(5))
    assert torch.equal(got[mask], z[mask])


@pytest.mark.parametrize("seed", [0, 2**31, 2**62 + 5, 2**63 - 1])
def test_draws_are_the_cpus(seed: int) -> None:
    rows = 24
    hidden, weight, ids, mask = _case(rows, 48, 300, 21, torch.float32)
    z, b = gaussian(rows, 21, seed=3), torch.full((rows,), 0.5)
    sample, step = torch.arange(rows) % 5, torch.arange(rows) // 2
    heat = torch.full((rows, 1), 0.8)
    _, place, log_prob = candidate_draw(hidden, weight, ids, mask, z, b, seed, sample, step, temperature=heat)
    mixed = reference.mix(reference.logits(hidden, weight, ids, mask), mask, z, b, None, heat)
    wanted, wanted_log_prob = reference.draw(mixed, mask, ids, seed, sample, step)
    assert torch.equal(place, wanted)
    torch.testing.assert_close(log_prob, wanted_log_prob, atol=1e-5, rtol=1e-5, equal_nan=True)


@triton.jit(do_not_specialize=["seed"])
def _words(ids, sample, step, seed, out, COUNT: tl.constexpr):
    place = tl.arange(0, COUNT)
    token = tl.load(ids + place)
    blocks = (token >> 2).to(tl.uint32)
    zero = tl.zeros_like(blocks)
    one, two = tl.load(step).to(tl.uint32), tl.load(sample).to(tl.uint32)
    words = tl.philox(seed, blocks, zero + one, zero + two, zero)
    for word in tl.static_range(4):
        tl.store(out + word * COUNT + place, words[word].to(tl.int64))


@triton.jit(do_not_specialize=["seed"])
def _noise(ids, sample, step, seed, out, COUNT: tl.constexpr):
    place = tl.arange(0, COUNT)
    tl.store(out + place, gumbel(tl.load(ids + place), tl.load(sample), tl.load(step), seed))


@pytest.mark.parametrize("seed", [0, 3, 2**32 - 1, 2**63 - 1])
def test_noise_is_the_cpus(seed: int) -> None:
    ids, sample, step = torch.arange(1024) * 37, torch.tensor([2**31 - 1]), torch.tensor([70_000])
    words, noise = torch.zeros(4, 1024, dtype=torch.int64), torch.zeros(1024)
    _words[(1,)](ids, sample, step, seed, words, COUNT=1024)
    _noise[(1,)](ids, sample, step, seed, noise, COUNT=1024)
    counter = (ids >> 2, step.expand(1024), sample.expand(1024), torch.zeros(1024, dtype=torch.int64))
    # The Philox words bit for bit; the noise as far as the logarithms of two devices agree.
    assert torch.equal(words, torch.stack(philox(counter, (seed & 0xFFFFFFFF, seed >> 32))))
    torch.testing.assert_close(noise, gumbel_noise(ids.unsqueeze(0), seed, sample, step)[0], atol=2e-6, rtol=2e-6)
