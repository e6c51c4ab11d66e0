"""What `generate` gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from esamp.bank import Bank

__all__ = ["Diagnostics", "GenerationResult", "Sample"]


@dataclass(frozen=True)
class Sample:
    """One finished sample.

    Attributes:
        prompt: index of its prompt.
        index: its sample index among the n of the prompt.
        text: the text, without special tokens and without the stop string.
        token_ids: the tokens drawn, int64 [tokens], the end-of-sequence token or the stop string's included.
        log_probs: of each token under the distribution it was drawn from (filtered and fused, at temperature T).
        reference_log_probs: of each token under the LLM alone (no filter, T = 1); their mean gives the perplexity.
        novelty: ‖e‖ of the context each token was drawn in; NaN where there was no prediction.
        kl: KL(π_new ‖ π_ref) of the step each token was drawn in, nats.
        candidates: number of candidates it was drawn from.
        finish_reason: "eos", "stop" (a stop string) or "length" (max_new_tokens).

    Examples:
        >>> from esamp import ESampSampler
        >>> from esamp.testing.models import tiny_model, tiny_tokenizer
        >>> sampler = ESampSampler(tiny_model(), tiny_tokenizer())
        >>> sample = sampler.generate("Hello", n=2, max_new_tokens=4, ignore_eos=True).samples[0][1]
        >>> sample.index, sample.finish_reason, len(sample.token_ids)
        (1, 'length', 4)
        >>> sample.novelty.isnan().tolist(), sample.to_dict()["finish_reason"]
        ([False, False, False, False], 'length')
    """

    prompt: int
    index: int
    text: str
    token_ids: Int[Tensor, " tokens"]
    log_probs: Float[Tensor, " tokens"]
    reference_log_probs: Float[Tensor, " tokens"]
    novelty: Float[Tensor, " tokens"]
    kl: Float[Tensor, " tokens"]
    candidates: Int[Tensor, " tokens"]
    finish_reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, for JSON; NaN becomes None."""
        tensors = ("token_ids", "log_probs", "reference_log_probs", "novelty", "kl", "candidates")
        columns = {name: [None if v != v else v for v in getattr(self, name).tolist()] for name in tensors}
        head = {"prompt": self.prompt, "index": self.index, "text": self.text, "finish_reason": self.finish_reason}
        return head | columns


@dataclass(frozen=True)
class Diagnostics:
    """How the distillers did, one row a group: a prompt, unless prompts share. Tensors, until you read them.

    Attributes:
        loss: mean squared error of each step's prediction, before that step's update; NaN where nothing was learnt.
        resets: how often the group's distiller was reset because its loss or prediction was not finite.
        exhausted: 1 where the group was given up because memory ran out while its distiller worked: from there on it
            was sampled plainly. None: nobody watched, as where there are no distillers.

    Examples:
        A batch that was over sooner is padded:

        >>> short, long = (Diagnostics(torch.full((1, steps), 0.5), torch.tensor([0])) for steps in (1, 3))
        >>> Diagnostics.join([short, long]).loss
        tensor([[0.5000,    nan,    nan],
                [0.5000, 0.5000, 0.5000]])
    """

    loss: Float[Tensor, "groups steps"]
    resets: Int[Tensor, " groups"]
    exhausted: Int[Tensor, " groups"] | None = None

    @staticmethod
    def follow(waves: list[Diagnostics]) -> Diagnostics:
        """Diagnostics of successive waves of the same groups as one: their steps follow each other."""
        return Diagnostics(torch.cat([wave.loss for wave in waves], dim=1), waves[-1].resets, waves[-1].exhausted)

    @staticmethod
    def join(parts: list[Diagnostics]) -> Diagnostics:
        """Diagnostics of consecutive batches of prompts as one; shorter ones are padded with NaN."""
        steps = max((part.loss.shape[1] for part in parts), default=0)
        loss = [torch.nn.functional.pad(p.loss, (0, steps - p.loss.shape[1]), value=torch.nan) for p in parts]
        exhausted = [p.exhausted for p in parts if p.exhausted is not None]
        watched = torch.cat(exhausted) if exhausted and len(exhausted) == len(parts) else None
        return Diagnostics(torch.cat(loss), torch.cat([p.resets for p in parts]), watched)


@dataclass(frozen=True)
class GenerationResult:
    """n samples of each prompt.

    Attributes:
        prompts: the prompts as text, chat template applied.
        samples: `samples[p][i]` is sample i of prompt p.
        diagnostics: how the distillers did.
        settings: every setting of the run, for the record.
        state: the distillers as the run left them, a bank for each batch; `generate(..., state=...)` goes on from it.

    Examples:
        >>> from esamp import ESampSampler
        >>> from esamp.testing.models import tiny_model, tiny_tokenizer
        >>> sampler = ESampSampler(tiny_model(), tiny_tokenizer(), beta=0.5)
        >>> result = sampler.generate(["Hello", "Goodbye"], n=3, max_new_tokens=4, ignore_eos=True)
        >>> [len(texts) for texts in result.texts], result.tokens, result.settings["beta"]
        ([3, 3], 24, 0.5)
        >>> result.diagnostics.loss.shape
        torch.Size([2, 4])
    """

    prompts: list[str]
    samples: list[list[Sample]]
    diagnostics: Diagnostics
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    state: list[Bank] = field(default_factory=list)

    @property
    def texts(self) -> list[list[str]]:
        """`texts[p][i]` is the text of sample i of prompt p."""
        return [[sample.text for sample in samples] for samples in self.samples]

    @property
    def tokens(self) -> int:
        """Number of tokens drawn in all."""
        return sum(len(sample.token_ids) for samples in self.samples for sample in samples)
