"""A progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from tqdm.auto import tqdm
from typing_extensions import override

from esamp.callbacks.base import Callback, GenerateStart, StepRecord

if TYPE_CHECKING:
    from esamp.result import GenerationResult

__all__ = ["ProgressBar"]


@final
class ProgressBar(Callback):
    """Tokens drawn, tokens/s and samples finished, with tqdm, on stderr.

    Args:
        description: text before the bar.
    """

    def __init__(self, description: str = "esamp") -> None:
        self.description = description
        self._bar: tqdm[Any] | None = None
        self._total = 0
        self._finished = 0

    @override
    def on_generate_start(self, start: GenerateStart) -> None:
        self._total = start.samples
        self._finished = 0
        # An upper bound: samples may end before max_new_tokens; the bar's total shrinks as they do.
        bound = self._total * start.max_new_tokens
        bar: tqdm[Any] = tqdm(total=bound, desc=self.description, unit="tok", leave=False)
        self._bar = bar

    @override
    def on_step(self, record: StepRecord) -> None:
        if self._bar is None:
            return
        self._finished += len(record.finished)
        self._bar.set_postfix_str(f"{self._finished}/{self._total} samples", refresh=False)
        self._bar.update(len(record.prompt))

    @override
    def on_generate_end(self, result: GenerationResult) -> None:
        if self._bar is not None:
            self._bar.total = result.tokens
        self._close()

    @override
    def on_exception(self, error: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
