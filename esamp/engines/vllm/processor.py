"""What vLLM's model runners call: `--logits-processors esamp.engines.vllm.processor:ServedProcessor`."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor
from typing_extensions import override
from vllm.config import VllmConfig
from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate
from vllm.v1.sample.logits_processor import LogitsProcessor as ProcessorV1
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsContext
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as ProcessorV2

from esamp.engines.vllm.batch_v1 import BatchV1
from esamp.engines.vllm.batch_v2 import BatchV2
from esamp.engines.vllm.compatibility import check_engine
from esamp.engines.vllm.installation import Installation, installation_of
from esamp.engines.vllm.reporter import Reporter
from esamp.engines.vllm.requests import parse
from esamp.engines.vllm.roster import Roster
from esamp.engines.vllm.settings import Settings
from esamp.engines.vllm.step import Place, Step, explore, renew

__all__ = ["ESampLogitsProcessor", "ESampProcessor", "PrivateProcessor", "ServedProcessor"]

SALT = "esamp_salt"

# Logit of a drawn token. Beside it every other token has probability zero in float32, at any temperature and after any
# penalty; to write it takes less than to take the others away, which is to write a vocabulary for every row.
_DRAWN = 1e9


class ESampProcessor(ProcessorV1, ProcessorV2):
    """Draws the tokens of the requests that ask for ESamp and leaves the rows of all others alone.

    A drawn token is handed over as the only one that has any probability: whatever temperature and filters vLLM applies
    afterwards cannot change it, and the filters of the request have acted exactly once, where ESamp's order puts them.

    Args:
        vllm_config: the engine's.
        *arguments: runner V1 gives (device, is_pin_memory), runner V2 the state of its requests.
    """

    def __init__(self, vllm_config: VllmConfig, *arguments: Any) -> None:
        check_engine(vllm_config)
        self._config = vllm_config
        self._steps = 0
        settings = Settings.of(vllm_config)
        self.roster = Roster(
            settings.max_groups,
            settings.max_lanes,
            settings.idle_steps,
            vllm_config.model_config.seed,
            lambda: self._steps,
        )
        self._warmup = settings.warmup
        self._v1 = BatchV1(self.roster)
        self._v2 = BatchV2(self.roster, arguments[0]) if len(arguments) == 1 else None
        self._installation: Installation | None = None
        self._reporter = Reporter.of(vllm_config, settings, self.roster)

    @classmethod
    @abstractmethod
    def refused(cls) -> Mapping[str, str]:
        """Arguments of a request that this engine's callers may not give, each with what to do instead."""

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Check a request as it comes in, and mark it, so that its n samples find together and nobody else joins them.

        Raises:
            ValueError: an argument of ESamp is wrong, or is not for callers of this engine, or contradicts another.
        """
        if parse(sampling_params) is None:
            return
        extra = sampling_params.extra_args or {}
        for name, instead in cls.refused().items():
            if name in extra:
                raise ValueError(f"{name} must be left out on this server, got {extra[name]!r}; {instead}")
        # vLLM copies the parameters right after this call; the caller's own mapping stays as it is.
        sampling_params.extra_args = {**extra, SALT: uuid.uuid4().hex}

    def is_argmax_invariant(self) -> bool:
        """Runner V1 then leaves it out for greedy requests, and calls it after penalties and temperature."""
        return True

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Runner V1: a step begins, perhaps with other rows."""
        self._steps += 1
        if batch_update is not None:
            self._v1.update(batch_update)
            self._reporter.batch()

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        """Runner V2: a slot has a new request."""
        assert self._v2 is not None
        return self._v2.add(req_idx, sampling_params)

    def apply_staged_writes(self) -> None:
        """Runner V2: a step begins."""
        self._steps += 1

    def apply(self, logits: Tensor, ctx: LogitsContext | None = None) -> Tensor:
        """The logits with a drawn token in each row that uses ESamp."""
        places = self._v1.places(len(logits)) if ctx is None or self._v2 is None else self._v2.places(ctx)
        if not places:
            return logits
        step = self._explore(places, logits, scaled=ctx is None)
        if step is None:
            return logits
        return logits.index_put_((step.index, step.drawn.tokens), logits.new_full((), _DRAWN))

    @torch.inference_mode(False)
    @torch.no_grad()
    def _explore(self, places: list[Place], logits: Tensor, *, scaled: bool) -> Step | None:
        if self._installation is None:
            self._installation = installation_of(self._config)
        explorer, tapped = self._installation.explorer, self._installation.taps.take()
        if tapped is None:
            return None
        if len(tapped.position) != len(logits):
            raise RuntimeError(
                f"ESamp read {len(tapped.position)} rows and vLLM samples {len(logits)}: this vLLM treats its rows in "
                "a way that ESamp does not know; start without ESamp, and report it"
            )
        fresh = self.roster.take_fresh()
        renew(explorer, fresh, [group.warmup or self._warmup for group in fresh], logits.device)
        step = explore(explorer, places, tapped, logits, scaled=scaled)
        for observe in (*self._installation.observers, self._reporter.step):
            observe(step)
        return step


@final
class ESampLogitsProcessor(ESampProcessor):
    """For an engine in the program that sends the requests, which may also have them recorded."""

    @classmethod
    @override
    def refused(cls) -> Mapping[str, str]:
        return {}


@final
class ServedProcessor(ESampProcessor):
    """For a server: what a request could make an engine keep without end is refused."""

    @classmethod
    @override
    def refused(cls) -> Mapping[str, str]:
        return {"esamp_record": "only the program that runs the engine may collect records"}


@final
class PrivateProcessor(ESampProcessor):
    """For a server whose clients must not share distillers: the n samples of one request do, and nobody else."""

    @classmethod
    @override
    def refused(cls) -> Mapping[str, str]:
        instead = "it was started with --no-sharing, so that the samples of one request share a distiller with no other"
        return {**ServedProcessor.refused(), "esamp_group": instead}
