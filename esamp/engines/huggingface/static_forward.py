"""The forward of one token as one compiled graph, over a static cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor
from torch._dynamo import mark_dynamic
from torch._dynamo.exc import BackendCompilerFailed
from transformers import Cache, CompileConfig, PreTrainedModel
from typing_extensions import override

from esamp.engines.huggingface.cache import moves
from esamp.engines.huggingface.grouped_attention import grouped_attention
from esamp.engines.huggingface.static_cache import make_static
from esamp.engines.huggingface.taps import Taps
from esamp.engines.huggingface.token_forward import Forwarded, Prefilled, TokenForward

__all__ = ["StaticForward", "StaticStep", "rows_to_run"]

Run = Callable[[Tensor, Tensor, Tensor, Any], tuple[Tensor, Any]]
"""`HuggingFaceEngine.run`."""


@final
class StaticStep:
    """What is compiled: a forward of one token with its taps. An engine has one, and so compiles once.

    The taps' hooks are traced with the model, so that h¹ and hᴸ are outputs of the graph; and the taps must therefore
    be the same in all generations.

    Args:
        model: the engine's.
        run: `HuggingFaceEngine.run` of that model.
        config: the arguments of `torch.compile`.

    Raises:
        ValueError: `torch.compile` does not take these arguments.
    """

    def __init__(self, model: PreTrainedModel, run: Run, config: CompileConfig) -> None:
        self.model = model
        self.taps: Taps = Taps(model)
        self._run = run
        try:
            self.compiled: Callable[[Tensor, Tensor, Tensor, Cache], Tensor] = torch.compile(
                self.plain, **config.to_dict()
            )
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"compiled must hold what torch.compile takes, got {config}: {reason}") from error

    def plain(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache) -> Tensor:
        """Logits [rows, vocab]; h¹ and hᴸ are left in the taps."""
        # Named first here, the taps are found again by this name, and not by the hooks, which come and go.
        self.taps.shallow = self.taps.deep = None
        return self._run(ids, mask, positions, cache)[0]


@final
class StaticForward(TokenForward):
    """Forwards through code that is compiled on the first call; h¹ is shown when the forward is over.

    Rows and positions may differ from call to call without compiling anew; rows that finish leave. Of a few more rows
    than there are (`rows_to_run`) the results are thrown away.

    Args:
        step: the engine's.
        prefilled: where to go on from.
        on_shallow: called with h¹ [rows, d] of each forward.
        compiled: False: run the same without compiling it.

    Raises:
        RuntimeError: when called: the compiler failed.
        ValueError: the cache cannot be made static.
    """

    def __init__(
        self,
        step: StaticStep,
        prefilled: Prefilled,
        on_shallow: Callable[[Tensor], None],
        *,
        compiled: bool = True,
    ) -> None:
        super().__init__(step.taps, grouped_attention(step.model))
        self._step = step.compiled if compiled else step.plain
        self._on_shallow = on_shallow
        mask, length = prefilled.mask, prefilled.length
        self._count = len(mask)
        self._graphs = mask.device.type == "cuda"
        filler = rows_to_run(self._count, mask.device) - self._count
        seats = torch.cat([torch.arange(self._count, device=mask.device), mask.new_zeros(filler)])
        self._position = torch.tensor(length, device=mask.device)
        self._cache: Cache = prefilled.cache
        self._layers = make_static(self._cache, prefilled.prompt[seats], self._position, mask.shape[1])
        self._masks = mask[seats]
        self._tokens = mask.new_zeros(len(seats), 1)
        self._positions = self._masks[:, :length].sum(1, keepdim=True)
        self._narrow()

    @override
    @torch.no_grad()
    def __call__(self, tokens: Int[Tensor, " rows"]) -> Forwarded:
        count = self._count
        self._tokens[:count, 0] = tokens
        torch.compiler.cudagraph_mark_step_begin()
        ids, mask, positions = self._inputs
        try:
            logits = self._step(ids, mask, positions, self._cache)
        except BackendCompilerFailed as error:
            reason = str(error.inner_exception).strip().splitlines()[0]
            raise RuntimeError(
                f"compiled must be False, or the compiler of CompileConfig another one, since it failed: {reason}; "
                "on a CPU torch.compile needs g++ or clang++"
            ) from error
        shown = [hidden[:count] for hidden in (self._taps.read("shallow"), self._taps.read("deep"), logits)]
        if self._graphs:  # the next replay of a CUDA graph writes over them
            shown = [hidden.clone() for hidden in shown]
        self._position += 1
        self._positions += 1
        self._on_shallow(shown[0])
        return Forwarded(shown[1], shown[2])

    @override
    def keep(self, order: Int[Tensor, " kept"]) -> None:
        moved, to = moves(order)
        if len(to):
            for layer in self._layers:
                layer.move(moved, to)
            for rows in (self._masks, self._positions):
                rows[to] = rows[moved]
        self._count = len(order)
        self._narrow()

    def _narrow(self) -> None:
        """Run as many rows as there have to be."""
        run = rows_to_run(self._count, self._masks.device)
        self._inputs = [rows[:run] for rows in (self._tokens, self._masks, self._positions)]
        for rows in self._inputs:
            mark_dynamic(rows, 0)
        mark_dynamic(self._inputs[1], 1)
        for layer in self._layers:
            layer.narrow(run)


def rows_to_run(count: int, device: torch.device) -> int:
    """How many rows are forwarded where there are `count`.

    On a GPU as many as one of few CUDA graphs has: a power of two, or a multiple of 8. On a CPU one more than one, for
    compilers take a size of 1 for one that never changes.

    >>> [rows_to_run(count, torch.device("cuda")) for count in (1, 2, 3, 5, 9, 17)]
    [2, 2, 4, 8, 16, 24]
    >>> [rows_to_run(count, torch.device("cpu")) for count in (1, 2, 3)]
    [2, 2, 3]
    """
    if device.type == "cpu":
        return max(count, 2)
    return max(2, 1 << (count - 1).bit_length()) if count <= 8 else -(-count // 8) * 8
