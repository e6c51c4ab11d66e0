"""Plain sampling as simply as it can be written: no cache, no batch, transformers' own warpers."""

from __future__ import annotations

import copy
from collections.abc import Collection

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedModel,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from esamp import Distiller, Filters
from esamp.noise import gumbel_noise


def warpers(filters: Filters) -> LogitsProcessorList:
    found = LogitsProcessorList([TemperatureLogitsWarper(float(filters.temperature))])
    if filters.top_k is not None:
        found.append(TopKLogitsWarper(filters.top_k))
    if filters.top_p is not None:
        found.append(TopPLogitsWarper(filters.top_p))
    if filters.min_p is not None:
        found.append(MinPLogitsWarper(filters.min_p))
    return found


@torch.no_grad()
def last_logits(model: PreTrainedModel, ids: list[int]) -> Tensor:
    """Float32 logits [vocab] after these tokens, by one forward of all of them."""
    text = torch.tensor([ids], device=model.device)
    return model(input_ids=text, attention_mask=torch.ones_like(text), use_cache=False).logits[0, -1].float()


def sample_plainly(
    model: PreTrainedModel,
    prompt: list[int],
    steps: int,
    *,
    filters: Filters,
    seed: int = 0,
    sample: int = 0,
    eos: Collection[int] = (),
) -> tuple[list[int], list[float]]:
    """Tokens of one sample, and the log-probability each was drawn with."""
    tokens: list[int] = []
    log_probs: list[float] = []
    for step in range(steps):
        ids = torch.tensor([prompt + tokens])
        scores = warpers(filters)(ids, last_logits(model, prompt + tokens)[None].cpu())
        vocabulary = torch.arange(scores.shape[1])[None]
        noise = gumbel_noise(vocabulary, seed, torch.tensor([sample]), step)
        distribution = scores.log_softmax(dim=-1)
        tokens.append(int((distribution + noise).argmax()))
        log_probs.append(float(distribution[0, tokens[-1]]))
        if tokens[-1] in eos:
            break
    return tokens, log_probs


@torch.no_grad()
def _hidden_and_logits(model: PreTrainedModel, ids: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """h¹, hᴸ and z after these tokens, from transformers' own list of hidden states and the head's input."""
    deep: list[Tensor] = []
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: deep.append(inputs[0][0, -1]))
    text = torch.tensor([ids])
    output = model(input_ids=text, attention_mask=torch.ones_like(text), output_hidden_states=True, use_cache=False)
    hook.remove()
    return output.hidden_states[1][0, -1], deep[0], output.logits[0, -1].float()


def _finished(model: PreTrainedModel, logits: Tensor) -> Tensor:
    """What the tiny families do to the output of their head."""
    match model.config.model_type:
        case "gemma2":
            cap = model.config.final_logit_softcapping
            return cap * torch.tanh(logits / cap)
        case "granite":
            return logits / model.config.logits_scaling
        case _:
            return logits


def explore_plainly(
    model: PreTrainedModel,
    prompt: list[int],
    distiller: Distiller,
    beta: Tensor,
    steps: int,
    *,
    filters: Filters,
    warmup: int = 1,
    prefilter: bool = False,
    eos: Collection[int] = (),
) -> list[list[int]]:
    """ESamp's tokens for one prompt, step by step as the method states it, with β_i for sample i; the seed is 0."""
    distiller = copy.deepcopy(distiller)
    distiller.setup(model.config.hidden_size, 1)
    samples: list[list[int]] = [[] for _ in beta]
    for step in range(steps):
        alive = [i for i, tokens in enumerate(samples) if not tokens or tokens[-1] not in eos]
        if not alive:
            break
        states = [_hidden_and_logits(model, prompt + samples[i]) for i in alive]
        shallow, deep, reference = (torch.stack(column) for column in zip(*states, strict=True))
        with torch.no_grad():
            distilled = _finished(model, model.get_output_embeddings()(distiller(shallow[None])[0]))
        strength = beta[alive, None] if step >= warmup else torch.zeros(len(alive), 1)
        fused = (1 + strength) * reference - strength * distilled
        kept = warpers(filters)(torch.zeros(1, 1), fused if prefilter else reference) > -torch.inf
        scores = (fused / filters.temperature).masked_fill(~kept, -torch.inf)
        vocabulary = torch.arange(scores.shape[1]).expand(scores.shape)
        drawn = (scores.log_softmax(-1) + gumbel_noise(vocabulary, 0, torch.tensor(alive), step)).argmax(-1)
        distiller.learn(shallow[None], deep[None], torch.ones(1, len(alive)))
        for i, token in zip(alive, drawn.tolist(), strict=True):
            samples[i].append(token)
    return samples
