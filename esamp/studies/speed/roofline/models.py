"""What a decode step of the LLM itself must move and compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from esamp.studies.speed.roofline.machines import Machine, Work

__all__ = [
    "LLAMA_1B",
    "LLAMA_70B",
    "QWEN_7B",
    "QWEN_8B",
    "SMOLLM_135M",
    "Batch",
    "Model",
    "decode_step",
    "devices_needed",
    "read_model",
]


@final
@dataclass(frozen=True)
class Batch:
    """What is decoded together.

    Attributes:
        prompts: number of prompts, each with a distiller of its own.
        n: samples of each.
        context: positions in the cache of each row.
        candidates: tokens of a row that the filters let through.
    """

    prompts: int
    n: int
    context: int = 512
    candidates: int = 32

    @property
    def rows(self) -> int:
        """Number of samples."""
        return self.prompts * self.n


@final
@dataclass(frozen=True)
class Model:
    """The sizes of a dense decoder with gated MLPs and grouped-query attention.

    Attributes:
        name: of the model.
        d: hidden size.
        layers: decoder layers.
        heads: of queries.
        key_value_heads: heads of keys and values.
        head_dim: width of a head.
        inner: inner width of an MLP.
        vocabulary: tokens.
        tied: the head is the embeddings' matrix.
        weight: bytes of a weight, and of a number in the cache.
    """

    name: str
    d: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    inner: int
    vocabulary: int
    tied: bool
    weight: int = 2

    @property
    def read(self) -> int:
        """Weights that a step reads: all but embeddings of their own, of which it looks up a row for each token."""
        attention = 2 * self.d * self.head_dim * (self.heads + self.key_value_heads)
        return self.layers * (attention + 3 * self.d * self.inner + 2 * self.d) + self.d + self.vocabulary * self.d

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.read + (0 if self.tied else self.vocabulary * self.d)

    @property
    def cached(self) -> int:
        """Numbers that a position takes in the cache."""
        return 2 * self.layers * self.key_value_heads * self.head_dim


SMOLLM_135M = Model("135M (SmolLM2), float32", 576, 30, 9, 3, 64, 1536, 49_152, tied=True, weight=4)
LLAMA_1B = Model("1B (Llama 3.2)", 2048, 16, 32, 8, 64, 8192, 128_256, tied=True)
QWEN_8B = Model("8B (Qwen3)", 4096, 36, 32, 8, 128, 12_288, 151_936, tied=False)
QWEN_7B = Model("7B (Qwen2.5)", 3584, 28, 28, 4, 128, 18_944, 152_064, tied=False)
LLAMA_70B = Model("70B (Llama 3.1)", 8192, 80, 64, 8, 128, 28_672, 128_256, tied=False)


def decode_step(model: Model, batch: Batch) -> Work:
    """Every weight once, the cache of every row once, two operations for each weight and row, and the attention.

    What is left out: activations, the logits and what sampling does with them, norms, and everything but the ideal use
    of memory and arithmetic. All of that makes the real step longer and ESamp's share smaller.
    """
    cache = batch.rows * batch.context * model.cached
    attention = 4 * batch.rows * batch.context * model.layers * model.heads * model.head_dim
    operations = 2 * model.read * batch.rows + attention
    moved = model.weight * (model.read + cache)
    return Work(moved, half=operations) if model.weight == 2 else Work(moved, single=operations)


def devices_needed(model: Model, machine: Machine) -> int:
    """The smallest power of two of such machines whose memory holds the weights with a tenth of it to spare."""
    count = 1
    while model.weight * model.parameters > 0.9 * machine.memory * count:
        count *= 2
    return count


def read_model(config: Any, bytes_per_weight: int) -> Model:
    """The sizes of a model of transformers, from its configuration.

    Raises:
        ValueError: it is not such a decoder.
    """
    text = config.get_text_config(decoder=True)
    try:
        return Model(
            name=str(config.name_or_path or config.model_type),
            d=text.hidden_size,
            layers=text.num_hidden_layers,
            heads=text.num_attention_heads,
            key_value_heads=text.num_key_value_heads,
            head_dim=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
            inner=text.intermediate_size,
            vocabulary=text.vocab_size,
            tied=text.tie_word_embeddings,
            weight=bytes_per_weight,
        )
    except AttributeError as error:
        raise ValueError(f"model must be a dense decoder such as a Llama for its floor to be known: {error}") from error
