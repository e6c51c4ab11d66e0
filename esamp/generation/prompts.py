"""Prompts as users give them: what is one, and whether the model can read it."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import TypeIs

from esamp.engines.text import Prompt, TextEngine

__all__ = ["check_encoded", "encode", "list_of_prompts", "render"]


def list_of_prompts(prompts: Any) -> list[Prompt]:
    """One prompt or several, as a list.

    Raises:
        TypeError: it is neither text, nor chat messages, nor token ids, nor a list of those.
        ValueError: there is no prompt, or one is empty.
    """
    wanted = "prompts must be a string, a list of chat messages, a list of token ids, or a list of those"
    if isinstance(prompts, str) or _is_chat(prompts) or _is_tokens(prompts):
        prompts = [prompts]
    if not isinstance(prompts, Sequence) or isinstance(prompts, bytes):
        raise TypeError(f"{wanted}, got {reprlib.repr(prompts)}")
    if not prompts:
        raise ValueError(f"{wanted}, got an empty list; pass at least one prompt")
    for index, prompt in enumerate(prompts):
        if isinstance(prompt, Sequence) and not (prompt.strip() if isinstance(prompt, str) else prompt):
            raise ValueError(f"prompts[{index}] is empty, got {prompt!r}; pass at least one word or message")
        if not isinstance(prompt, str) and not _is_chat(prompt) and not _is_tokens(prompt):
            raise TypeError(f"{wanted}, and prompts[{index}] is {reprlib.repr(prompt)}")
        if _is_tokens(prompt) and min(prompt) < 0:
            raise ValueError(
                f"prompts[{index}] must hold token ids >= 0, got {min(prompt)}; pass what a tokenizer made"
            )
    return list(prompts)


def _is_chat(prompt: Any) -> bool:
    """A list of messages, each {"role": ..., "content": ...}."""
    return (
        isinstance(prompt, Sequence)
        and not isinstance(prompt, str | bytes)
        and len(prompt) > 0
        and all(isinstance(message, Mapping) and {"role", "content"} <= set(message) for message in prompt)
    )


def _is_tokens(prompt: Any) -> TypeIs[Sequence[int]]:
    """Token ids."""
    return (
        isinstance(prompt, Sequence)
        and not isinstance(prompt, str | bytes)
        and len(prompt) > 0
        and all(isinstance(token, int) and not isinstance(token, bool) for token in prompt)
    )


def render(prompts: Sequence[Prompt], engine: TextEngine, *, chat: bool) -> list[str]:
    """Prompts as the text that the model sees.

    Raises:
        ValueError: a chat template is needed and the tokenizer has none, or the template refuses the messages.
    """
    return [
        engine.decode_prompt(prompt) if _is_tokens(prompt) else engine.render(prompt, chat=chat) for prompt in prompts
    ]


def encode(prompts: Sequence[Prompt], texts: Sequence[str], engine: TextEngine, *, chat: bool) -> list[list[int]]:
    """Token ids of prompts that were rendered as `texts`; those that are token ids stay what they are."""
    return [
        list(prompt) if _is_tokens(prompt) else engine.encode(text, templated=chat or not isinstance(prompt, str))
        for prompt, text in zip(prompts, texts, strict=True)
    ]


def check_encoded(prompts: list[list[int]], max_new_tokens: int, engine: TextEngine) -> None:
    """Check the token ids of prompts against what the model can read.

    Raises:
        ValueError: a prompt has no tokens, too many for the context, or tokens that the model does not know.
    """
    for index, ids in enumerate(prompts):
        _check_length(index, len(ids), max_new_tokens, engine.context_length)
        _check_ids(index, ids, engine.known_tokens)


def _check_length(index: int, length: int, max_new_tokens: int, context: int | None) -> None:
    if length == 0:
        raise ValueError(f"prompts[{index}] has no tokens; pass at least one word")
    if context is None or length + max_new_tokens <= context:
        return
    if length >= context:
        raise ValueError(f"prompts[{index}] has {length} tokens and the model's context is {context}; shorten it")
    raise ValueError(
        f"max_new_tokens must be at most {context - length} for prompts[{index}], which has {length} of the {context} "
        f"tokens of the model's context, got {max_new_tokens}"
    )


def _check_ids(index: int, ids: list[int], known: int) -> None:
    if max(ids) >= known:
        raise ValueError(
            f"tokenizer must be the model's own: it makes token {max(ids)} of prompts[{index}], and the model knows "
            f"{known} tokens; load both from one place"
        )
