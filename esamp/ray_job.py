"""Batch inference with Ray Data: a parquet of prompts in, one of samples out, vLLM engines with ESamp between them.

Ray's own LLM pipeline (`ray.data.llm`) keeps one output of each request. Here one engine draws all samples of a prompt
together, so the stage between reading and writing is ours.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from esamp.checks import check_integer, check_number
from esamp.samplers.on_vllm import VLLMSampler

__all__ = ["COLUMNS", "PromptSampler", "RayJob"]

COLUMNS = ("sample", "text", "token_ids", "finish_reason", "log_probs", "reference_log_probs", "novelty", "kl")
"""What a row has beside the columns of its prompt: the sample's index, and what it is, as in `esamp.result.Sample`."""

# Ray keeps a record of every block.
_MOST_BLOCKS = 4096


@final
class PromptSampler:
    """The actor that holds an engine: a table of prompts becomes a table of their samples.

    Args:
        sampler: keyword arguments of `VLLMSampler`.
        options: keyword arguments of its `generate`.
        column: the prompts.
    """

    def __init__(self, sampler: Mapping[str, Any], options: Mapping[str, Any], column: str) -> None:
        self._sampler = VLLMSampler(**sampler)
        self._options = dict(options)
        self._column = column

    def __call__(self, table: Any) -> Any:
        """A row for each sample, in the order of the prompts; the prompt's own columns are repeated."""
        import pyarrow

        samples = self._sampler.generate(table.column(self._column).to_pylist(), **self._options).samples
        whole = table.take(pyarrow.array([prompt for prompt, drawn in enumerate(samples) for _ in drawn]))
        rows = [sample.to_dict() | {"sample": sample.index} for drawn in samples for sample in drawn]
        for name in COLUMNS:
            whole = whole.append_column(name, pyarrow.array([row[name] for row in rows]))
        return whole


@final
@dataclass(frozen=True)
class RayJob:
    """Samples of every prompt of a parquet data set, drawn by engines on a Ray cluster.

    All samples of a prompt are drawn by one engine. Draws are keyed by the seed and the sample's index, so a prompt has
    the same samples whichever engine gets it, as far as that computes the same logits in another batch.

    Args:
        prompts: a parquet file or a folder of them, which all nodes can read.
        out: a folder that all nodes can write to. Every batch is written when it is done.
        sampler: keyword arguments of `esamp.samplers.on_vllm.VLLMSampler`.
        options: keyword arguments of its `generate`.
        column: the prompts, as text.
        key: a column whose values tell the prompts apart; with it a job goes on in a folder that has samples already.
        engines: how many.
        batch_size: prompts that an engine gets at a time.
        cpus: processor cores that Ray gives each engine.
        gpus: likewise.

    Raises:
        TypeError, ValueError: a number is none, or out of range.
    """

    prompts: str
    out: str
    sampler: Mapping[str, Any] = field(default_factory=dict[str, Any])
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    column: str = "prompt"
    key: str | None = None
    engines: int = 1
    batch_size: int = 16
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        check_integer("engines", self.engines, low=1)
        check_integer("batch_size", self.batch_size, low=1)
        check_number("cpus", self.cpus, low=0)
        check_number("gpus", self.gpus, low=0)

    def run(self) -> int:
        """Draw what is missing; the number of prompts that was.

        Raises:
            ModuleNotFoundError: Ray, or pyarrow, is not installed.
            ValueError: the prompts cannot be read, or a column is missing, or would be written twice.
        """
        import pyarrow.compute

        source, done, ray = self._check_prompts(), self._done(), _ray()
        left: int = source.count_rows()
        # A block for each batch: there is something for every engine to do, and what is done is written.
        blocks = min(_MOST_BLOCKS, -(-left // self.batch_size))
        data: Any = ray.read_parquet(self.prompts, override_num_blocks=max(blocks, 1))
        if done is not None:
            drawn = source.filter(pyarrow.compute.field(self.key).isin(done))
            left -= drawn.count_rows()
            data = data.map_batches(_Without(str(self.key), done), batch_format="pyarrow")
        if left:
            data.map_batches(
                PromptSampler,
                fn_constructor_args=(dict(self.sampler), dict(self.options), self.column),
                batch_format="pyarrow",
                batch_size=self.batch_size,
                compute=ray.ActorPoolStrategy(size=self.engines),
                num_cpus=self.cpus,
                num_gpus=self.gpus,
            ).write_parquet(self.out)
        return left

    def _check_prompts(self) -> Any:
        """The prompts as a data set of pyarrow, whose columns are as they must be."""
        import pyarrow.compute
        import pyarrow.dataset

        try:
            source: Any = pyarrow.dataset.dataset(self.prompts, format="parquet")
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise ValueError(
                f"prompts must be a parquet file or a folder of them, got {self.prompts!r}: {error}"
            ) from error
        for what, name in (("column", self.column), ("key", self.key)):
            if name is not None and name not in source.schema.names:
                raise ValueError(f"{what} must be one of {', '.join(source.schema.names)}, got {name!r}")
        for name in set(COLUMNS) & set(source.schema.names):
            raise ValueError(f"prompts must not have a column {name!r}, which the samples get; rename it")
        kind = source.schema.field(self.column).type
        if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
            raise ValueError(f"column must hold text, and {self.column!r} holds {kind}")
        text = pyarrow.compute.field(self.column)
        empty = source.filter(text.is_null() | (text == "")).count_rows()
        if empty:
            raise ValueError(
                f"column must hold text in every row, and {empty} rows of {self.column!r} hold none; drop them"
            )
        return source

    def _done(self) -> Any:
        """Keys of the prompts whose samples are in the folder; None where it is new."""
        import pyarrow.dataset

        if not any(Path(self.out).glob("*.parquet")):
            return None
        if self.key is None:
            raise ValueError(
                f"out must be a new folder, or key must name a column that tells the prompts apart, got {self.out!r}, "
                "which has samples already"
            )
        written: Any = pyarrow.dataset.dataset(self.out, format="parquet")
        return written.to_table([self.key]).column(self.key).combine_chunks().unique()


@final
class _Without:
    """A table without the rows whose key is among those that are done."""

    def __init__(self, key: str, done: Any) -> None:
        self._key, self._done = key, done

    def __call__(self, table: Any) -> Any:
        import pyarrow.compute

        compute: Any = pyarrow.compute
        return table.filter(compute.invert(compute.is_in(table.column(self._key), value_set=self._done)))


def _ray() -> Any:
    try:
        return importlib.import_module("ray.data")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('jobs over a cluster need Ray: pip install "esamp[ray]"') from error
