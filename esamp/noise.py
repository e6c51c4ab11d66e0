"""Counter-based Gumbel-max draws: a token depends on (seed, sample, step, token id) and on nothing else.

The noise of a token comes from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
whose counter holds the token id, the step and the sample index, and whose key is the seed. Batch-mates, the order of
rows, the number of devices and the set of surviving candidates therefore do not change a sample.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["MAX_SEED", "gumbel_argmax", "gumbel_noise", "normal_noise", "philox"]

Seed = int | Int[Tensor, " rows"]

MAX_SEED = 2**63 - 1
"""The largest seed."""

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORDS_PER_BLOCK = 4


def philox(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int] | tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10: four 32-bit words from a 128-bit counter and a 64-bit key.

    Args:
        counter: four int64 tensors that hold unsigned 32-bit words; they broadcast.
        key: two unsigned 32-bit words, numbers or tensors that broadcast.

    Examples:
        >>> words = philox((torch.zeros(1, dtype=torch.int64),) * 4, (0, 0))
        >>> [f"{word.item():08x}" for word in words]
        ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        # A 32x32-bit product fills int64 and may wrap to negative. Of every word only the lower half counts; what
        # stands above it is cut off before the word is multiplied again.
        low, high = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = ((high >> 32) ^ c1 ^ k0) & _WORD, high, ((low >> 32) ^ c3 ^ k1) & _WORD, low
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return c0, c1 & _WORD, c2, c3 & _WORD


def gumbel_noise(
    ids: Int[Tensor, "rows candidates"], seed: Seed, sample: Int[Tensor, " rows"], step: Int[Tensor, " rows"] | int
) -> Float[Tensor, "rows candidates"]:
    """Standard Gumbel noise, float32, of each token id for each row.

    Args:
        ids: token ids.
        seed: in [0, 2^63); one number, or one for each row.
        sample: index of each row's sample among the n of its prompt.
        step: number of tokens each sample has so far; one number where it is the same for all.

    Examples:
        A token has its noise, whatever else is on the list:

        >>> short, long = torch.tensor([[5, 9]]), torch.tensor([[4, 5, 9]])
        >>> of_short, of_long = (gumbel_noise(ids, 7, sample=torch.tensor([0]), step=3) for ids in (short, long))
        >>> torch.equal(of_short, of_long[:, 1:])
        True
    """
    words = torch.stack(_words(ids >> 2, seed, sample, step), dim=-1)
    return _gumbel(words.gather(-1, (ids & 3).unsqueeze(-1)).squeeze(-1))


def gumbel_noise_of_vocabulary(
    vocabulary: int, seed: Seed, sample: Int[Tensor, " rows"], step: Int[Tensor, " rows"] | int
) -> Float[Tensor, "rows vocab"]:
    """`gumbel_noise` of the ids 0 ... vocabulary - 1, at a quarter of the work: each Philox block serves four ids."""
    blocks = torch.arange(-(-vocabulary // _WORDS_PER_BLOCK), device=sample.device).expand(len(sample), -1)
    words = torch.stack(_words(blocks, seed, sample, step), dim=-1)
    return _gumbel(words.flatten(1)[:, :vocabulary])


def gumbel_argmax(
    log_probs: Float[Tensor, "rows candidates"],
    ids: Int[Tensor, "rows candidates"],
    seed: Seed,
    sample: Int[Tensor, " rows"],
    step: Int[Tensor, " rows"] | int,
    *,
    whole_vocabulary: bool = False,
) -> Int[Tensor, " rows"]:
    """Place (not token id) of the drawn candidate: argmax of log p + Gumbel noise, an exact draw from p.

    Places with log p = -inf are never drawn. `whole_vocabulary` says that the ids are 0, 1, 2, ... in every row.

    Examples:
        >>> log_probs = torch.tensor([0.5, 0.3, 0.2]).log().expand(1000, 3)
        >>> ids = torch.arange(3).expand(1000, 3)
        >>> place = gumbel_argmax(log_probs, ids, seed=MAX_SEED, sample=torch.arange(1000), step=0)
        >>> [round(count / 1000, 1) for count in torch.bincount(place).tolist()]
        [0.5, 0.3, 0.2]
    """
    noise = (
        gumbel_noise_of_vocabulary(ids.shape[1], seed, sample, step)
        if whole_vocabulary
        else gumbel_noise(ids, seed, sample, step)
    )
    return (log_probs.float() + noise).argmax(dim=-1)


def _words(blocks: Tensor, seed: Seed, sample: Tensor, step: Tensor | int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    step, sample = torch.as_tensor(step, device=blocks.device).unsqueeze(-1), sample.unsqueeze(-1)
    counter = (blocks, step, sample, torch.zeros_like(sample))
    if isinstance(seed, int):
        return philox(counter, (seed & _WORD, seed >> 32))
    seed = seed.unsqueeze(-1)
    return philox(counter, (seed & _WORD, seed >> 32))


def _gumbel(words: Tensor) -> Tensor:
    # E = -log1p(-w) keeps its relative precision where w is small, which is where the noise is large.
    return -torch.log(-torch.log1p(-_uniform(words)))


def _uniform(words: Tensor) -> Tensor:
    """32-bit words as numbers in (0, 1), float32."""
    return ((words.float() + 0.5) * 2.0**-32).clamp(max=1.0 - 2.0**-24)


def normal_noise(seed: int, count: Int[Tensor, " groups"], rows: int, width: int) -> Float[Tensor, "groups rows width"]:
    """Standard normal noise, float32, that depends on (seed, count, row, place) alone (Box-Muller on Philox words).

    Args:
        seed: in [0, 2^63).
        count: one counter a group; equal counters give equal noise.
        rows: rows of a group.
        width: numbers in a row.

    Examples:
        >>> noise = normal_noise(7, torch.tensor([0, 0, 1]), rows=2, width=5)
        >>> noise.shape, torch.equal(noise[0], noise[1]), torch.equal(noise[0], noise[2])
        (torch.Size([3, 2, 5]), True, False)
    """
    blocks = torch.arange(-(-width // _WORDS_PER_BLOCK), device=count.device).view(1, 1, -1)
    row = torch.arange(rows, device=count.device).view(1, -1, 1)
    # The last counter word keeps this stream apart from that of the tokens.
    counter = torch.broadcast_tensors(blocks, row, count.view(-1, 1, 1), torch.ones_like(blocks))
    words = torch.stack(philox((counter[0], counter[1], counter[2], counter[3]), (seed & _WORD, seed >> 32)), dim=-1)
    radius = (-2.0 * torch.log(_uniform(words[..., :2]))).sqrt()
    angle = 2.0 * torch.pi * _uniform(words[..., 2:])
    pairs = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)
    return pairs.flatten(-2)[..., :width]
