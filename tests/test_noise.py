"""Draws are exact, and a token's noise depends on (seed, sample, step, token id) and nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from esamp.noise import MAX_SEED, gumbel_argmax, gumbel_noise, gumbel_noise_of_vocabulary, philox
from esamp.testing.strategies import masks, seeds

_VOCABULARY = 50
_EULER = 0.5772156649015329

# Random123's kat_vectors of philox4x32-10: counter, key, output.
_KNOWN = [
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]

steps = st.integers(0, 2**31 - 1)
samples = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5)


def _philox(counter: list[int], key: list[int]) -> list[int]:
    words = philox(tuple(torch.tensor([word]) for word in counter), (key[0], key[1]))
    return [int(word) for word in words]


@pytest.mark.parametrize(("counter", "key", "wanted"), _KNOWN, ids=["zeros", "ones", "pi"])
def test_philox_gives_the_published_vectors(counter: list[int], key: list[int], wanted: list[int]) -> None:
    assert _philox(counter, key) == wanted


def _plain_philox(counter: list[int], key: list[int]) -> list[int]:
    """The same algorithm in Python's integers, which do not overflow."""
    c, k = list(counter), list(key)
    for _ in range(10):
        left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(right >> 32) ^ c[1] ^ k[0], right % 2**32, (left >> 32) ^ c[3] ^ k[1], left % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


words = st.integers(0, 2**32 - 1)


@given(st.lists(words, min_size=4, max_size=4), st.lists(words, min_size=2, max_size=2))
def test_philox_does_not_overflow(counter: list[int], key: list[int]) -> None:
    assert _philox(counter, key) == _plain_philox(counter, key)


def _ids(rows: int) -> Tensor:
    return torch.arange(_VOCABULARY).expand(rows, -1)


@given(seeds, samples, steps, masks(1, _VOCABULARY))
def test_noise_depends_on_nothing_but_its_own_keys(seed: int, sample: list[int], step: int, keep: Tensor) -> None:
    everyone = gumbel_noise(_ids(len(sample)), seed, torch.tensor(sample), step)
    # Alone in the batch, in another order, and with other tokens among the candidates.
    for row, index in enumerate(sample):
        ids = keep[0].nonzero().T.flip(1)
        alone = gumbel_noise(ids, seed, torch.tensor([index]), step)
        assert torch.equal(alone[0], everyone[row, ids[0]])


@given(seeds, samples, steps, st.integers(1, _VOCABULARY))
def test_the_whole_vocabulary_has_the_noise_of_its_tokens(seed: int, sample: list[int], step: int, size: int) -> None:
    rows = torch.tensor(sample)
    whole = gumbel_noise_of_vocabulary(size, seed, rows, step)
    assert torch.equal(whole, gumbel_noise(_ids(len(sample))[:, :size], seed, rows, step))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seed": 1}, {"seed": 2}),
        ({"seed": 1}, {"seed": 1 + 2**32}),
        ({"seed": 0}, {"seed": 2**62}),
        ({"seed": MAX_SEED}, {"seed": MAX_SEED - 1}),
        ({"sample": 0}, {"sample": 1}),
        ({"step": 0}, {"step": 1}),
        ({"sample": 0, "step": 1}, {"sample": 1, "step": 0}),
    ],
    ids=str,
)
def test_every_key_matters(one: dict[str, int], other: dict[str, int]) -> None:
    def noise(seed: int = 0, sample: int = 0, step: int = 0) -> Tensor:
        return gumbel_noise(_ids(1), seed, torch.tensor([sample]), step)

    assert (noise(**one) != noise(**other)).all()


def test_noise_is_standard_gumbel() -> None:
    rows = torch.arange(2000)
    noise = gumbel_noise(_ids(len(rows)), 0, rows, 0).double().flatten()
    error = math.pi / math.sqrt(6 * len(noise))
    assert abs(float(noise.mean()) - _EULER) < 4 * error
    assert abs(float(noise.var()) - math.pi**2 / 6) < 0.05
    assert stats.kstest(noise.numpy(), stats.gumbel_r.cdf).pvalue > 0.01
    # Neighbours, which share a Philox block, are as independent as any two.
    pairs = noise.view(len(rows), -1)
    assert abs(float(torch.corrcoef(torch.stack([pairs[:, 0], pairs[:, 1]]))[0, 1])) < 4 / math.sqrt(len(rows))


def test_noise_is_finite_at_the_ends_of_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = torch.tensor([0, 1, 2**31, 2**32 - 2, 2**32 - 1])
    monkeypatch.setattr("esamp.noise.philox", lambda counter, key: (ends.expand(1, -1),) * 4)
    noise = gumbel_noise(torch.arange(5).unsqueeze(0), 0, torch.tensor([0]), 0)
    assert noise.isfinite().all()
    assert (noise.diff() <= 0).all() or (noise.diff() >= 0).all()


@pytest.mark.parametrize("whole", [True, False], ids=["whole vocabulary", "candidates"])
def test_draws_follow_the_distribution(whole: bool) -> None:
    draws = 20_000
    log_probs = torch.randn(_VOCABULARY, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    sample = torch.arange(draws)
    place = gumbel_argmax(log_probs.expand(draws, -1), _ids(draws), 3, sample, 5, whole_vocabulary=whole)
    counts = place.bincount(minlength=_VOCABULARY).double()
    expected = log_probs.double().softmax(-1) * draws
    assert stats.chisquare(counts.numpy(), expected.numpy()).pvalue > 0.01


@given(seeds, steps, masks(4, 6))
def test_empty_places_are_never_drawn(seed: int, step: int, mask: Tensor) -> None:
    log_probs = torch.zeros(4, 6).masked_fill(~mask, -torch.inf)
    place = gumbel_argmax(log_probs, torch.arange(6).expand(4, -1), seed, torch.arange(4), step)
    assert mask[torch.arange(4), place].all()


@given(seeds, steps, masks(1, _VOCABULARY))
def test_the_token_does_not_depend_on_how_candidates_are_listed(seed: int, step: int, keep: Tensor) -> None:
    log_probs = torch.linspace(-3, 0, _VOCABULARY).unsqueeze(0).masked_fill(~keep, -torch.inf)
    sample = torch.tensor([1])
    whole = gumbel_argmax(log_probs, _ids(1), seed, sample, step, whole_vocabulary=True)
    ids = keep.nonzero()[:, 1].unsqueeze(0)
    padded = torch.cat([ids, torch.zeros(1, 3, dtype=torch.int64)], dim=1)
    listed = torch.cat([log_probs[:, ids[0]], torch.full((1, 3), -torch.inf)], dim=1)
    place = gumbel_argmax(listed, padded, seed, sample, step)
    assert padded[0, place] == whole
