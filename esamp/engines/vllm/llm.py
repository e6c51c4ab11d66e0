"""`vllm.LLM` with ESamp switched on."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import vllm
from typing_extensions import override

from esamp.engines.huggingface.embedded import EMBEDDED_NAME, embedded_model
from esamp.engines.vllm import plugin
from esamp.engines.vllm.compatibility import check_version
from esamp.engines.vllm.plugin import PROCESSOR, WORKER
from esamp.engines.vllm.settings import Settings

__all__ = ["LLM", "engine_arguments"]


class LLM(vllm.LLM):
    """A `vllm.LLM` whose requests may ask for ESamp: `SamplingParams(n=8, extra_args={"esamp_beta": 0.25})`.

    Args:
        model: what `vllm.LLM` takes, or "smollm2-135m", the embedded model.
        esamp: ESamp's settings by their names in `esamp.engines.vllm.settings.Settings`; None: the defaults.
        **options: the keyword arguments of `vllm.LLM`.

    Raises:
        UnsupportedVLLMError: vLLM's version, an option or the model does not go with ESamp.
        TypeError, ValueError: a setting is wrong.
    """

    def __init__(self, model: str | Path, *, esamp: dict[str, Any] | None = None, **options: Any) -> None:
        check_version()
        plugin.register()
        source = embedded_model() if str(model) == EMBEDDED_NAME else model
        super().__init__(str(source), **engine_arguments(Settings(**(esamp or {})), **options))

    @override
    def generate(self, prompts: Any, sampling_params: Any = None, *, use_tqdm: Any = True, **more: Any) -> Any:
        """As `vllm.LLM.generate`, but the engine begins when it has all requests.

        An engine in a process of its own would begin with the first sample to arrive, and what the others learn from it
        would depend on how soon they come.
        """
        with self._waiting():
            self.enqueue(prompts, sampling_params, use_tqdm=use_tqdm, **more)
        return self.wait_for_completion(vllm.RequestOutput, use_tqdm=use_tqdm)

    @override
    def chat(self, messages: Any, sampling_params: Any = None, use_tqdm: Any = True, *others: Any, **more: Any) -> Any:
        """As `vllm.LLM.chat`, but the engine begins when it has all requests."""
        with self._waiting():
            self.enqueue_chat(messages, sampling_params, use_tqdm, *others, **more)
        return self.wait_for_completion(vllm.RequestOutput, use_tqdm=use_tqdm)

    @contextmanager
    def _waiting(self) -> Generator[None]:
        self.sleep(level=0, mode="keep")
        try:
            yield
        finally:
            self.wake_up(tags=["scheduling"])


def engine_arguments(settings: Settings, **options: Any) -> dict[str, Any]:
    """Options of a vLLM engine, ESamp's added to them."""
    processors: Sequence[Any] = options.pop("logits_processors", None) or ()
    additional = dict(options.pop("additional_config", None) or {})
    loading = dict(options.pop("model_loader_extra_config", None) or {})
    base = options.pop("load_format", "auto")
    if options.get("worker_extension_cls"):
        raise ValueError(
            f"worker_extension_cls must be left to ESamp, got {options['worker_extension_cls']!r}; derive your class "
            f"from {WORKER} and pass it to vllm.LLM with esamp's other options (`engine_arguments`)"
        )
    return options | {
        "load_format": plugin.LOAD_FORMAT,
        "worker_extension_cls": WORKER,
        "model_loader_extra_config": loading | ({} if base == "auto" else {"esamp_base_format": base}),
        "logits_processors": [*processors, PROCESSOR],
        "additional_config": additional | {"esamp": settings.plain()},
    }
