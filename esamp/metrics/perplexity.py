"""Perplexity of samples, under the model that drew them or under another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from esamp.checks import check_integer

__all__ = ["log_probs_under", "perplexity", "perplexity_under"]


def perplexity(log_probs: Sequence[Float[Tensor, " _"]]) -> float:
    """exp(-mean log p) over all tokens of all samples together, so that long samples weigh more.

    Args:
        log_probs: of each sample's tokens under the model alone (`Sample.reference_log_probs`), nats.

    Raises:
        ValueError: there is no token.

    Examples:
        >>> round(perplexity([torch.tensor([0.5, 0.25]).log(), torch.tensor([0.5]).log()]), 4)
        2.5198
    """
    if sum(len(values) for values in log_probs) == 0:
        raise ValueError("log_probs must hold at least one token, got none")
    return float(torch.cat([values.double().cpu() for values in log_probs]).mean().neg().exp())


def perplexity_under(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    texts: Sequence[str],
    batch_size: int = 8,
) -> float:
    """Perplexity of texts after their prompts under any causal model; only the texts' tokens count.

    Tokens are those of that model's tokenizer: numbers of two models with different tokenizers cannot be compared, and
    those of two methods under one model can.

    Args:
        model: of transformers, in evaluation mode.
        tokenizer: its own.
        prompts: of each text, as the model is to see it (`GenerationResult.prompts`).
        texts: the samples.
        batch_size: texts in one forward pass.

    Raises:
        TypeError: `batch_size` is not an integer.
        ValueError: prompts and texts differ in number, a prompt has no token, or no text has one.

    Examples:
        >>> from esamp.testing.models import tiny_model, tiny_tokenizer
        >>> model, tokenizer = tiny_model(), tiny_tokenizer()
        >>> log_probs = log_probs_under(model, tokenizer, ["Say:", "Say:"], ["yes", "no, never"])
        >>> [len(each) for each in log_probs]
        [2, 6]
        >>> perplexity(log_probs) == perplexity_under(model, tokenizer, ["Say:", "Say:"], ["yes", "no, never"])
        True
    """
    return perplexity(log_probs_under(model, tokenizer, prompts, texts, batch_size))


def log_probs_under(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    texts: Sequence[str],
    batch_size: int = 8,
) -> list[Float[Tensor, " _"]]:
    """Log-probabilities of each text's tokens after its prompt, nats, float32 on the CPU; see `perplexity_under`.

    Prompt and text are encoded one by one, so that no token straddles them. The end of the text is not counted.

    Raises:
        TypeError: `batch_size` is not an integer.
        ValueError: prompts and texts differ in number, or a prompt has no token.
    """
    check_integer("batch_size", batch_size, low=1)
    if len(prompts) != len(texts):
        raise ValueError(f"prompts must hold one for each text, got {len(prompts)} for {len(texts)} texts")
    heads = [_encode_prompt(tokenizer, prompt) for prompt in prompts]
    for index, head in enumerate(heads):
        if not head:
            raise ValueError(
                f"prompts[{index}] has no token, got {prompts[index]!r}; the first token needs one before it"
            )
    tails: list[list[int]] = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    found: list[Tensor] = []
    for start in range(0, len(texts), batch_size):
        batch = slice(start, start + batch_size)
        found += _forward(model, heads[batch], tails[batch])
    return found


def _encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Token ids; a prompt that a chat template has begun is not begun again."""
    beginning: Any = tokenizer.bos_token
    begun = beginning is not None and prompt.startswith(beginning)
    return tokenizer.encode(prompt, add_special_tokens=not begun)


@torch.inference_mode()
def _forward(model: PreTrainedModel, heads: list[list[int]], tails: list[list[int]]) -> list[Tensor]:
    rows = [head + tail for head, tail in zip(heads, tails, strict=True)]
    longest = max(map(len, rows))
    # Padding on the right: what follows a token never reaches it, so its id does not matter.
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=model.device)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    found: list[Tensor] = []
    for index, (head, tail) in enumerate(zip(heads, tails, strict=True)):
        at = slice(len(head) - 1, len(head) - 1 + len(tail))
        drawn = ids[index, len(head) : len(head) + len(tail)].unsqueeze(-1)
        found.append(logits[index, at].float().log_softmax(dim=-1).gather(-1, drawn).squeeze(-1).cpu())
    return found
