"""The LM head at candidates only, fused with what follows it: mix, temperature, draw."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

from esamp.kernels.candidate_head import reference as plain
from esamp.kernels.dispatch import uses_triton

__all__ = ["candidate_draw", "candidate_errors", "candidate_logits", "candidate_mix"]


def candidate_logits(
    hidden: Float[Tensor, "rows d"],
    weight: Float[Tensor, "vocab d"],
    ids: Int[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    bias: Float[Tensor, " vocab"] | None = None,
    scale: float = 1.0,
    softcap: float | None = None,
) -> Float[Tensor, "rows candidates"]:
    """ẑ = c tanh(s (W ĥ + b) / c) of the candidates only, float32; 0 in empty places.

    Args:
        hidden: ĥᴸ of each row.
        weight: W.
        ids: token ids of the candidates.
        mask: False where a place is empty; nothing is read for it.
        bias: b, or None.
        scale: s.
        softcap: c, or None.
    """
    if uses_triton(hidden):
        from esamp.kernels.candidate_head.triton import run

        return run(hidden, weight, ids, mask, bias, scale, softcap)[0]
    return plain.logits(hidden, weight, ids, mask, bias, scale, softcap)


def candidate_errors(
    deep: Float[Tensor, "rows d"],
    hidden: Float[Tensor, "rows d"],
    weight: Float[Tensor, "vocab d"],
    ids: Int[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    bias: Float[Tensor, " vocab"] | None = None,
    scale: float = 1.0,
    softcap: float | None = None,
) -> tuple[Float[Tensor, "rows candidates"], Float[Tensor, " rows"]]:
    """`candidate_logits`, and ‖hᴸ - ĥᴸ‖ of each row, float32; NaN where ĥᴸ is not finite.

    Args:
        deep: hᴸ of each row.
        hidden: ĥᴸ of each row.
        weight: W.
        ids: token ids of the candidates.
        mask: False where a place is empty; nothing is read for it.
        bias: b, or None.
        scale: s.
        softcap: c, or None.
    """
    if uses_triton(hidden):
        from esamp.kernels.candidate_head.triton import run_errors

        return run_errors(deep, hidden, weight, ids, mask, bias, scale, softcap)
    return plain.logits(hidden, weight, ids, mask, bias, scale, softcap), plain.error_norm(deep, hidden)


def candidate_mix(
    hidden: Float[Tensor, "rows d"],
    weight: Float[Tensor, "vocab d"],
    ids: Int[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    reference: Float[Tensor, "rows candidates"],
    b: Float[Tensor, " rows"],
    a: Float[Tensor, " rows"] | None = None,
    temperature: Float[Tensor, "rows 1"] | None = None,
    bias: Float[Tensor, " vocab"] | None = None,
    scale: float = 1.0,
    softcap: float | None = None,
) -> Float[Tensor, "rows candidates"]:
    """(a·z - b·ẑ) / T of the candidates, float32: the linear fusions. 0 in empty places.

    Args:
        hidden: ĥᴸ of each row.
        weight: W.
        ids: token ids of the candidates.
        mask: False where a place is empty; nothing is read for it.
        reference: the LLM's logits z.
        b: β of each row, for the paper's fusion and its ablation.
        a: None: 1 + b, the paper's fusion (ESamp, Eq. 6), which is exactly z at b = 0; ones: its ablation.
        temperature: T of each row; None: 1.
        bias: of the head, or None.
        scale: s of the head.
        softcap: c of the head, or None.
    """
    if uses_triton(hidden):
        from esamp.kernels.candidate_head.triton import Mix, run

        return run(hidden, weight, ids, mask, bias, scale, softcap, Mix(reference, b, a, temperature))[0]
    distilled = plain.logits(hidden, weight, ids, mask, bias, scale, softcap)
    return plain.mix(distilled, mask, reference, b, a, temperature)


def candidate_draw(
    hidden: Float[Tensor, "rows d"],
    weight: Float[Tensor, "vocab d"],
    ids: Int[Tensor, "rows candidates"],
    mask: Bool[Tensor, "rows candidates"],
    reference: Float[Tensor, "rows candidates"],
    b: Float[Tensor, " rows"],
    seed: int,
    sample: Int[Tensor, " rows"],
    step: Int[Tensor, " rows"],
    a: Float[Tensor, " rows"] | None = None,
    temperature: Float[Tensor, "rows 1"] | None = None,
    bias: Float[Tensor, " vocab"] | None = None,
    scale: float = 1.0,
    softcap: float | None = None,
) -> tuple[Float[Tensor, "rows candidates"], Int[Tensor, " rows"], Float[Tensor, " rows"]]:
    """`candidate_mix`, and one candidate of each row drawn from its softmax, keyed as in `esamp.noise`.

    Args:
        hidden: ĥᴸ of each row.
        weight: W.
        ids: token ids of the candidates.
        mask: False where a place is empty; nothing is read for it.
        reference: the LLM's logits z.
        b: as for `candidate_mix`.
        seed: in [0, 2^63).
        sample: index of each row's sample.
        step: number of tokens each sample has.
        a: as for `candidate_mix`.
        temperature: T of each row; None: 1.
        bias: of the head, or None.
        scale: s of the head.
        softcap: c of the head, or None.

    Returns:
        The mixed logits, the place of the drawn candidate, and its log-probability.
    """
    if uses_triton(hidden):
        from esamp.kernels.candidate_head.triton import Draw, Mix, run

        mixing, keys = Mix(reference, b, a, temperature), Draw(seed, sample, step)
        logits, place, log_prob = run(hidden, weight, ids, mask, bias, scale, softcap, mixing, keys)
        assert place is not None
        assert log_prob is not None
        return logits, place, log_prob
    distilled = plain.logits(hidden, weight, ids, mask, bias, scale, softcap)
    mixed = plain.mix(distilled, mask, reference, b, a, temperature)
    return (mixed, *plain.draw(mixed, mask, ids, seed, sample, step))
