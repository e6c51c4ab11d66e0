"""A transformers model and its tokenizer, as ESamp needs them."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, CompileConfig, PreTrainedModel, PreTrainedTokenizerBase
from typing_extensions import override

from esamp.engines.huggingface.adapters import without_wrapper
from esamp.engines.huggingface.final_norm import read_final_norm
from esamp.engines.huggingface.growing_forward import GrowingForward
from esamp.engines.huggingface.head import computes_in_half, read_head
from esamp.engines.huggingface.last_mlp import read_last_mlp
from esamp.engines.huggingface.sharding import check_sharding
from esamp.engines.huggingface.static_forward import StaticForward, StaticStep
from esamp.engines.huggingface.taps import evaluation_mode, find_first_layer
from esamp.engines.huggingface.token_forward import Prefilled, TokenForward
from esamp.engines.text import TextEngine
from esamp.head import Head
from esamp.llm import FrozenLLM

__all__ = ["HuggingFaceEngine"]

# Largest relative error of logits that a cache may bring, and padding beside it: for float32, and for half precision,
# where rounding alone makes some. What is really wrong is of order 1.
_CACHE_ERROR, _CACHE_ERROR_HALF = 1e-2, 0.3
_PADDING_ERROR, _PADDING_ERROR_HALF = 1e-3, 0.05
_PROBE_PADDING = 8


class HuggingFaceEngine(TextEngine):
    """A decoder-only model of transformers with its tokenizer: encoding, decoding of text, and single forwards.

    Args:
        model: any decoder-only `PreTrainedModel` with an LM head, also in a `PeftModel` whose layers carry the adapter.
        tokenizer: the model's tokenizer.
        compiled: compile the forward of one token, over a static cache; a `CompileConfig` has other arguments of
            `torch.compile` than transformers' own. False: run the model as it is, over a cache that grows.

    Raises:
        TypeError: `model` is not a `PreTrainedModel`, `tokenizer` is no tokenizer, or `compiled` neither a bool nor a
            `CompileConfig`.
        ValueError: the model is an encoder-decoder, is split over processes, has no layers or head that can be read, or
            cannot be decoded from a cache, or from a static one where it is to be compiled.
    """

    def __init__(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, compiled: bool | CompileConfig = False
    ) -> None:
        model = without_wrapper(model)
        if not isinstance(model, PreTrainedModel):
            raise TypeError(
                f"model must be a transformers PreTrainedModel, got {reprlib.repr(model)}; "
                "to load one by name use ESampSampler.from_pretrained"
            )
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise TypeError(
                f"tokenizer must be a transformers tokenizer, got {reprlib.repr(tokenizer)}; "
                "load the model's own with AutoTokenizer.from_pretrained"
            )
        if model.config.is_encoder_decoder:
            raise ValueError(
                f"model must be decoder-only, got the encoder-decoder {type(model).__name__}; "
                "load one with AutoModelForCausalLM"
            )
        check_sharding(model)
        find_first_layer(model)
        self.model = model
        self.tokenizer = tokenizer
        self.head: Head = read_head(model)
        self.llm: FrozenLLM = FrozenLLM(
            self.head, cache(lambda: read_last_mlp(model)), cache(lambda: read_final_norm(model))
        )
        accepted = inspect.signature(model.forward).parameters
        self._cache_name = "cache_params" if "cache_params" in accepted else "past_key_values"
        self._takes_positions = "position_ids" in accepted
        self._takes_logits_to_keep = "logits_to_keep" in accepted
        # Quantised layers compute in half precision, whatever comes before and after them.
        self._half = computes_in_half(model) or getattr(model, "is_quantized", False)
        if not isinstance(compiled, bool | CompileConfig):
            raise TypeError(
                "compiled must be True, False or a CompileConfig of transformers, which holds the arguments of "
                f"torch.compile; got {reprlib.repr(compiled)}"
            )
        self.compiled: bool | CompileConfig = compiled
        config = CompileConfig() if compiled is True else compiled
        self._static_step = StaticStep(model, self.run, config) if config else None
        self._check_decoding()

    @property
    def device(self) -> torch.device:
        """Where token ids go in and logits come out."""
        return self.head.weight.device

    @property
    @override
    def name(self) -> str:
        return str(self.model.config.name_or_path)

    @property
    @override
    def context_length(self) -> int | None:
        return getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None)

    @property
    @override
    def known_tokens(self) -> int:
        embeddings: Any = self.model.get_input_embeddings()
        return int(embeddings.weight.shape[0])

    @cached_property
    def pads_left(self) -> bool:
        """Left padding leaves the logits alone; where it does not, prompts of different lengths need their own batches.

        Some models count positions over the padding, whatever the attention mask says.
        """
        return self._decoding_error(_PROBE_PADDING) <= (_PADDING_ERROR_HALF if self._half else _PADDING_ERROR)

    @property
    def eos_ids(self) -> frozenset[int]:
        """All end-of-sequence ids that the generation configuration and the tokenizer name."""
        found: set[int] = set()
        generation = self.model.generation_config
        for ids in (getattr(generation, "eos_token_id", None), self.tokenizer.eos_token_id):
            found.update(int(token) for token in (ids if isinstance(ids, list) else [] if ids is None else [ids]))
        return frozenset(found)

    def token_texts(self) -> list[str]:
        """The text of every token id that the head scores, special tokens included. A second for 50,000 tokens."""
        return list(self.tokenizer.batch_decode([[token] for token in range(self.head.vocabulary)]))

    def forward(self, ids: Tensor, attention_mask: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """Logits [rows, vocab] of the last position, in the model's dtype, and the cache.

        Args:
            ids: the positions that are not in the cache yet, int64 [rows, new].
            attention_mask: [rows, cached + new]; 0 for left padding.
            cache: what the last forward returned, or None.
        """
        positions = (attention_mask.cumsum(dim=-1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        if self._cache_name == "cache_params" and cache is not None:
            # The mask of a state-space model is that of the new positions alone, and no padding comes after a prompt.
            return self.run(ids, None, positions, cache)
        return self.run(ids, attention_mask, positions, cache)

    def run(self, ids: Tensor, attention_mask: Tensor | None, positions: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """The model's own forward, by the names that it has for what it takes: as `forward`.

        Args:
            ids: the positions that are not in the cache yet, int64 [rows, new].
            attention_mask: as the model takes it.
            positions: of `ids`, int64 [rows, new]; 0 for padding.
            cache: what the last forward returned, or None.
        """
        arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": attention_mask, "use_cache": True}
        arguments[self._cache_name] = cache
        if self._takes_positions:
            arguments["position_ids"] = positions
        if self._takes_logits_to_keep:
            arguments["logits_to_keep"] = 1
        output = self.model(**arguments)
        return output.logits[:, -1].to(self.device), getattr(output, self._cache_name, None)

    def token_forward(
        self, prefilled: Prefilled, on_shallow: Callable[[Tensor], None], *, compiled: bool = True
    ) -> TokenForward:
        """The forward of one token for each row: compiled over a static cache, where the engine is to compile.

        Args:
            prefilled: where to go on from.
            on_shallow: called with h¹ [rows, d] of each forward.
            compiled: False: a static cache without compiled code.

        Raises:
            ValueError: the cache cannot be made static.
        """
        if self._static_step is None:
            return GrowingForward(self.forward, self.model, prefilled, on_shallow)
        return StaticForward(self._static_step, prefilled, on_shallow, compiled=compiled)

    def no_numbers(self, token: int, sample: int, prompt: int) -> ValueError:
        """To be raised where nothing can be drawn from the model's logits."""
        return ValueError(
            f"model must give logits that are numbers, and {self.name!r} in {self.model.dtype} gives NaN, or none that "
            f"may be drawn, for token {token} of sample {sample} of prompts[{prompt}]; load it in float32 or bfloat16, "
            "or leave that prompt out"
        )

    def _check_decoding(self) -> None:
        """A cache gives the logits that there are without one, or it says what to do."""
        if self._decoding_error(padding=0) <= (_CACHE_ERROR_HALF if self._half else _CACHE_ERROR):
            return
        name = type(self.model).__name__
        if self._static_step is None:
            raise ValueError(
                f"model must give the same logits with its cache as without, and {name} does not when "
                "its rows are repeated; ESamp cannot decode it: use another model"
            )
        raise ValueError(
            f"compiled must be False for {name}, which does not give the same logits over a static cache as "
            "without a cache"
        )

    @torch.no_grad()
    def _decoding_error(self, padding: int) -> float:
        """How far a step from a cache whose rows were reordered and repeated is from whole forwards of the same texts.

        Relative, as a norm over the logits. There are two texts of four tokens, `padding` places before each.
        """
        text = torch.arange(4, device=self.device).remainder(self.head.vocabulary)
        ids = torch.stack([text, text.flip(0)])
        moved = torch.tensor([1, 0, 1], device=self.device)
        mask = torch.ones(3, padding + 4, dtype=torch.int64, device=self.device)
        mask[:, :padding] = 0
        padded = torch.nn.functional.pad(ids[:, :3], (padding, 0))
        with evaluation_mode(self.model):
            wanted = self.forward(ids, mask[:2, padding:], None)[0][moved].float()
            _, cache = self.forward(padded, mask[:2, :-1], None)
            if not isinstance(cache, Cache):
                raise ValueError(
                    f"model must have a cache to decode with, and {type(self.model).__name__} gives back "
                    f"{self._cache_name} = {cache!r}; use a decoder-only model"
                )
            try:
                prefilled = Prefilled(cache, mask, padding + 3, moved)
                with self.token_forward(prefilled, lambda shallow: None, compiled=False) as step:
                    logits = step(ids[moved, 3]).logits
            except RuntimeError:
                return float("inf")  # a cache that leaves out some of its state when it is reordered
        return float((logits.float() - wanted).norm() / wanted.norm().clamp_min(1e-12))
