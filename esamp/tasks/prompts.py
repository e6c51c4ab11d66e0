"""Open-ended prompts: nothing to be right or wrong, only different."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from typing_extensions import override

from esamp.engines.text import Prompt
from esamp.tasks.base import Problem, Task, Verdict, tasks

__all__ = ["PromptsTask"]


@final
@tasks.register("prompts")
class PromptsTask(Task):
    """Prompts of your own, through the chat template; no sample of them is right or wrong.

    Args:
        prompts: texts, or lists of chat messages.
        file: more of them: a text file with one a line, or with the suffix .jsonl objects with a "prompt".

    Raises:
        TypeError: `prompts` is no list.
        ValueError: there is no prompt, one stands there twice, or the file is not of its format.
    """

    chat = True
    max_new_tokens = 64

    def __init__(self, prompts: Sequence[Prompt] = (), file: str | None = None) -> None:
        if isinstance(prompts, str) or not isinstance(prompts, Sequence):
            raise TypeError(f"prompts must be a list, got {prompts!r}; write [{prompts}]")
        self._prompts = [*prompts, *(() if file is None else _read(Path(file)))]
        if not self._prompts:
            raise ValueError("prompts must hold at least one, got none; give prompts: [Tell me a joke.] or file: FILE")
        for index, prompt in enumerate(self._prompts):
            if prompt in self._prompts[:index]:
                raise ValueError(f"prompts must differ, and {prompt!r} stands there twice; remove one")

    @override
    def problems(self) -> list[Problem]:
        return [Problem(str(index), prompt) for index, prompt in enumerate(self._prompts)]

    @override
    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict(None)


def _read(path: Path) -> list[Any]:
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        return [json.loads(line)["prompt"] if path.suffix == ".jsonl" else line for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'file must hold one prompt a line, or with the suffix .jsonl objects with a "prompt", and {path} does '
            f"not: {error}"
        ) from error
