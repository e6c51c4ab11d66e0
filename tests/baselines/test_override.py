"""OverRIDE: the formula of one step, and what it does to n samples."""

from __future__ import annotations

import torch
from torch import nn

from esamp.baselines import OverrideSampler, PlainSampler
from esamp.baselines.reweighting_heads import ReweightingHeads
from esamp.result import GenerationResult
from esamp.testing.models import tiny_model, tiny_tokenizer

MODEL, TOKENIZER = tiny_model(), tiny_tokenizer()
V, D, R = 7, 5, 2


def ids(result: GenerationResult) -> list[list[int]]:
    return [sample.token_ids.tolist() for samples in result.samples for sample in samples]


def test_a_heads_step_is_adam_on_the_cross_entropy_of_the_shifted_logits() -> None:
    generator = torch.Generator().manual_seed(1)
    heads = ReweightingHeads(3, V, D, R, lr=1e-2)
    down, up = (nn.Parameter(start.clone()) for start in (heads.down[0], heads.up[0]))
    adam = torch.optim.Adam([down, up], lr=1e-2)
    for _ in range(20):
        hidden, reference = torch.randn(3, D, generator=generator), torch.randn(3, V, generator=generator)
        tokens = torch.randint(V, (3,), generator=generator)
        delta = up @ (down @ hidden[0])
        torch.testing.assert_close(heads(hidden)[0], delta.detach())
        loss = nn.functional.cross_entropy(reference[0] + delta, tokens[0])
        adam.zero_grad()
        loss.backward()
        adam.step()
        got = heads.learn(hidden, reference, tokens, torch.tensor([True, True, False]))
        torch.testing.assert_close(got[0], loss.detach())
        assert got[2].isnan()
    torch.testing.assert_close(heads.up[0], up.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(heads.down[0], down.detach(), atol=1e-5, rtol=1e-4)
    assert not heads.up[2].any()


def test_a_sample_is_drawn_from_the_logits_less_the_head_of_the_one_before() -> None:
    sampler = OverrideSampler(MODEL, TOKENIZER, strength=3.0, lr=0.05)
    result = sampler.generate("ab", 2, max_new_tokens=5, ignore_eos=True, min_p=None, seed=4)
    first, second = result.samples[0]
    heads = ReweightingHeads(1, *sampler.engine.head.weight.shape, 16, 0.05)
    prompt = sampler.engine.encode("ab", templated=False)
    states: list[torch.Tensor] = []
    hook = MODEL.get_output_embeddings().register_forward_pre_hook(lambda module, inputs: states.append(inputs[0]))
    with torch.no_grad():
        logits = [MODEL(torch.tensor([prompt + s.token_ids.tolist()])).logits[0].float() for s in (first, second)]
    hook.remove()
    at = slice(len(prompt) - 1, -1)
    for hidden, z, token in zip(states[0][0, at], logits[0][at], first.token_ids, strict=True):
        heads.learn(hidden[None], z[None], token[None], torch.tensor([True]))
    for step, (hidden, z, token) in enumerate(zip(states[1][0, at], logits[1][at], second.token_ids, strict=True)):
        wanted = (z - 3.0 * heads(hidden[None])[0]).log_softmax(-1)[token]
        torch.testing.assert_close(second.log_probs[step], wanted, atol=1e-4, rtol=1e-4)
    assert (second.kl > 1e-3).any()
    assert not first.kl.any()


def test_without_strength_it_is_plain_sampling() -> None:
    asked = {"n": 3, "max_new_tokens": 6, "seed": 2, "temperature": 0.8}
    plain = PlainSampler(MODEL, TOKENIZER).generate(["ab", "a b c"], **asked)
    assert ids(OverrideSampler(MODEL, TOKENIZER, strength=0.0).generate(["ab", "a b c"], **asked)) == ids(plain)
    assert plain.settings["sampler"] == "plain"


def test_prompts_do_not_meet_and_batches_do_not_matter() -> None:
    sampler = OverrideSampler(MODEL, TOKENIZER, strength=5.0, lr=0.05)
    asked = {"max_new_tokens": 6, "seed": 2}
    both = sampler.generate(["ab", "abc"], [4, 2], **asked)
    assert [len(samples) for samples in both.samples] == [4, 2]
    assert ids(both)[:4] == ids(sampler.generate("ab", 4, **asked))
    assert ids(both) == ids(sampler.generate(["ab", "abc"], [4, 2], batch_size=1, **asked))


def test_side_by_side_a_sample_still_steps_away_from_the_one_before() -> None:
    sampler = OverrideSampler(MODEL, TOKENIZER, strength=5.0, lr=0.05)
    asked = {"n": 4, "max_new_tokens": 6, "seed": 2, "ignore_eos": True}
    aside, after = sampler.generate("ab", waves=1, **asked), sampler.generate("ab", **asked)
    assert ids(aside)[0] == ids(after)[0] == ids(PlainSampler(MODEL, TOKENIZER).generate("ab", **asked))[0]
    assert not aside.samples[0][1].kl[0]
    assert after.samples[0][1].kl[0] > 0


def test_steps_away_from_what_was_said() -> None:
    """Where every sample would say the same, later ones say something else."""
    asked = {"n": 6, "max_new_tokens": 8, "temperature": 0.05, "ignore_eos": True, "min_p": None}
    plain = PlainSampler(MODEL, TOKENIZER).generate("ab", **asked)
    away = OverrideSampler(MODEL, TOKENIZER, strength=20.0, lr=0.05).generate("ab", **asked)
    assert len({tuple(tokens) for tokens in ids(away)}) > len({tuple(tokens) for tokens in ids(plain)})


def test_describe_and_settings_name_what_is_done() -> None:
    sampler = OverrideSampler(MODEL, TOKENIZER, strength=0.5, rank=4)
    assert "z - 0.5 B A h of the sample before, rank 4" in sampler.describe()
    settings = sampler.generate("ab", 2, max_new_tokens=2).settings
    assert (settings["sampler"], settings["strength"], settings["rank"]) == ("override", 0.5, 4)
    assert settings["waves"] == 2
