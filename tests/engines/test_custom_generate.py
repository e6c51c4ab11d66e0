"""`model.generate(custom_generate=sampler)`: the samples of `ESampSampler.generate`, in transformers' clothes."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BartConfig,
    BartForCausalLM,
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StopStringCriteria,
    TextIteratorStreamer,
    pipeline,
)
from transformers.generation.logits_process import UnbatchedClassifierFreeGuidanceLogitsProcessor
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from esamp import Callback, ESampSampler, GenerationResult, MLPDistiller
from esamp.schedules import OnlyFirst
from esamp.testing.models import tiny_model, tiny_tokenizer
from tests.engines.generated import generated

TOKENIZER = tiny_tokenizer()
PROMPTS = ["Once upon a time", "Hi"]
MODEL = tiny_model()
# Several ends, so that samples end at different steps.
ENDING = tiny_model()
ENDING.generation_config.eos_token_id = list(range(100, 125))


def sampler_of(model: PreTrainedModel = MODEL, **parts: Any) -> ESampSampler:
    return ESampSampler(model, TOKENIZER, distiller=MLPDistiller(width=8, lr=0.01), **{"beta": 0.5} | parts)


def inside(
    sampler: ESampSampler, prompts: list[str] = PROMPTS, *, n: int = 3, max_new_tokens: int = 8, **settings: Any
) -> Any:
    model = sampler.engine.model
    inputs = TOKENIZER(prompts, padding=True, return_tensors="pt", return_token_type_ids=False).to(model.device)
    return model.generate(
        **inputs,
        custom_generate=sampler,
        **{"do_sample": True, "num_return_sequences": n, "max_new_tokens": max_new_tokens} | settings,
    )


def new_tokens(sequences: Tensor, model: PreTrainedModel, prompts: list[str] = PROMPTS) -> list[list[int]]:
    """Of each row, up to its end."""
    length = TOKENIZER(prompts, padding=True, return_tensors="pt")["input_ids"].shape[1]
    eos = model.generation_config.eos_token_id
    ends = set(eos if isinstance(eos, list) else [eos])
    rows = sequences[:, length:].tolist()
    return [row[: next((i + 1 for i, token in enumerate(row) if token in ends), len(row))] for row in rows]


@pytest.mark.parametrize(
    "settings",
    [
        {"top_k": None},
        {"temperature": 0.8, "top_k": 20},
        {"temperature": 1.3, "top_k": 0, "min_p": 0.05},
        {"top_k": None, "top_p": 0.9, "min_p": 0.02},
    ],
    ids=str,
)
@pytest.mark.parametrize("filtering", ["post-filter", "pre-filter"])
def test_samples_are_those_of_the_samplers_own_door(settings: dict[str, Any], filtering: str) -> None:
    sampler = sampler_of(ENDING, filtering=filtering, learn_prompt=True)
    own = sampler.generate(
        PROMPTS, n=4, max_new_tokens=12, seed=7, **{"min_p": None} | settings | {"top_k": settings["top_k"] or None}
    )
    # transformers' own default is top_k = 50.
    given = settings | {"top_k": settings["top_k"] or 0}
    sequences = inside(sampler, n=4, max_new_tokens=12, seed=7, **given)
    wanted = [sample.token_ids.tolist() for samples in own.samples for sample in samples]
    assert new_tokens(sequences, ENDING) == wanted
    assert len({len(tokens) for tokens in wanted}) > 1


def test_sequences_have_the_shape_that_transformers_gives() -> None:
    sequences = inside(sampler_of(ENDING), n=4, max_new_tokens=12)
    inputs = TOKENIZER(PROMPTS, padding=True, return_tensors="pt")["input_ids"]
    length = inputs.shape[1]
    assert torch.equal(sequences[:, :length], inputs.repeat_interleave(4, dim=0))
    kept = new_tokens(sequences, ENDING)
    assert sequences.shape == (8, length + max(len(tokens) for tokens in kept))
    for row, tokens in zip(sequences[:, length:].tolist(), kept, strict=True):
        assert row[len(tokens) :] == [TOKENIZER.pad_token_id] * (len(row) - len(tokens))


def test_seed_and_beta_are_arguments_of_generate() -> None:
    sampler = sampler_of()
    wanted = sampler.generate(PROMPTS, n=3, max_new_tokens=8, top_k=50, min_p=None, seed=5, beta=torch.ones(3))
    got = inside(sampler, seed=5, beta=torch.ones(3))
    assert new_tokens(got, MODEL) == [s.token_ids.tolist() for samples in wanted.samples for s in samples]
    assert not torch.equal(inside(sampler, seed=6), inside(sampler, seed=5))
    assert torch.equal(inside(sampler, beta=0), generated(MODEL, TOKENIZER, PROMPTS, n=3, max_new_tokens=8))
    first = inside(sampler, beta=OnlyFirst(0.5, 100))
    assert torch.equal(first, inside(sampler))
    with pytest.raises(ValueError, match=r"^beta must be .*got -1"):
        inside(sampler, beta=-1)


def test_a_misspelt_argument_is_refused_by_transformers() -> None:
    with pytest.raises(ValueError, match="sede"):
        inside(sampler_of(), sede=5)


def test_scores_are_the_log_probabilities_drawn_from_and_logits_the_models_own() -> None:
    sampler = sampler_of(ENDING)
    own = sampler.generate(PROMPTS, n=4, max_new_tokens=12, temperature=0.7, top_k=20, min_p=None)
    wanted = [sample for samples in own.samples for sample in samples]
    more = {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}
    output = inside(sampler, n=4, max_new_tokens=12, temperature=0.7, top_k=20, **more)
    plain = inside(sampler, n=4, max_new_tokens=12, temperature=0.7, top_k=20)
    assert torch.equal(output.sequences, plain)
    steps = max(len(sample.token_ids) for sample in wanted)
    assert len(output.scores) == len(output.logits) == steps
    assert {(tensor.shape, tensor.dtype) for tensor in output.scores + output.logits} == {((8, 256), torch.float32)}
    log_probs = torch.stack(output.scores, dim=1).log_softmax(dim=-1)
    reference = torch.stack(output.logits, dim=1).log_softmax(dim=-1)
    drawn = output.sequences[:, -steps:]
    for row, sample in enumerate(wanted):
        end = len(sample.token_ids)
        at = (row, torch.arange(end), sample.token_ids)
        torch.testing.assert_close(log_probs[at], sample.log_probs, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(reference[at], sample.reference_log_probs, rtol=1e-4, atol=1e-5)
        # Tokens that the filters left out cannot be drawn.
        assert (log_probs[row, :end] > -torch.inf).sum(dim=-1).tolist() == sample.candidates.tolist()
        # What comes after the end is padding, for certain.
        assert (log_probs[row, end:].gather(-1, drawn[row, end:, None]) == 0).all()
    transitions = ENDING.compute_transition_scores(output.sequences, output.scores, normalize_logits=True)
    torch.testing.assert_close(transitions, log_probs.gather(-1, drawn.unsqueeze(-1)).squeeze(-1))
    normalised = inside(sampler, n=4, max_new_tokens=12, temperature=0.7, top_k=20, renormalize_logits=True, **more)
    assert torch.equal(normalised.sequences, plain)
    for scores in normalised.scores:
        torch.testing.assert_close(scores.logsumexp(dim=-1), torch.zeros(8), rtol=0, atol=1e-5)


def test_without_output_flags_the_dict_holds_sequences_alone() -> None:
    output = inside(sampler_of(), return_dict_in_generate=True)
    assert torch.equal(output.sequences, inside(sampler_of()))
    assert set(output.keys()) == {"sequences"}


class Recorder(BaseStreamer):
    """What a streamer is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def put(self, value: Tensor) -> None:
        self.told.append(value.tolist())

    def end(self) -> None:
        self.told.append("end")


def test_a_streamer_is_told_what_transformers_tells_it() -> None:
    theirs, ours = Recorder(), Recorder()
    generated(ENDING, TOKENIZER, PROMPTS, n=4, max_new_tokens=12, streamer=theirs)
    inside(sampler_of(ENDING, beta=0.0), n=4, max_new_tokens=12, streamer=ours)
    assert ours.told == theirs.told
    assert ours.told[-1] == "end"
    assert TOKENIZER.pad_token_id in ours.told[-2]


def test_the_text_of_a_streamer_is_the_text_of_the_sample() -> None:
    sampler, streamer = sampler_of(), TextIteratorStreamer(TOKENIZER, skip_prompt=True)
    inside(sampler, ["Hi"], n=1, streamer=streamer)
    assert "".join(streamer) == sampler.generate("Hi", n=1, max_new_tokens=8, top_k=50, min_p=None).texts[0][0]


class AfterTokens(StoppingCriteria):
    """Ends row i of those it is shown after i + 2 tokens, and remembers what it was shown."""

    def __init__(self, prompt: int) -> None:
        self.prompt = prompt
        self.shown: list[tuple[torch.Size, int | None]] = []

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        self.shown.append((input_ids.shape, None if scores is None else len(scores)))
        return torch.arange(len(input_ids)) + 2 <= input_ids.shape[1] - self.prompt


@pytest.mark.parametrize("scores", [False, True])
def test_stopping_criteria_see_all_rows_and_end_each(scores: bool) -> None:
    length = TOKENIZER(PROMPTS, padding=True, return_tensors="pt")["input_ids"].shape[1]
    theirs, ours = AfterTokens(length), AfterTokens(length)
    settings = {"max_new_tokens": 20, "return_dict_in_generate": True, "output_scores": scores}
    wanted = generated(MODEL, TOKENIZER, PROMPTS, n=3, stopping_criteria=[theirs], **settings).sequences
    got = inside(sampler_of(beta=0.0), stopping_criteria=[ours], **settings).sequences
    assert torch.equal(got, wanted)
    assert got.shape == (6, length + 7)
    assert ours.shown == theirs.shown


def test_a_length_criterion_of_ones_own_replaces_the_configured_length() -> None:
    length = TOKENIZER(PROMPTS, padding=True, return_tensors="pt")["input_ids"].shape[1]
    criteria = StoppingCriteriaList([MaxLengthCriteria(length + 5)])
    assert inside(sampler_of(), max_new_tokens=3, stopping_criteria=criteria).shape[1] == length + 5


def test_stop_strings_are_given_as_a_criterion() -> None:
    free = TOKENIZER.decode(inside(sampler_of(), ["Hi"], n=1, max_new_tokens=20)[0], skip_special_tokens=True)
    stop = free[8:10]
    criterion = StopStringCriteria(TOKENIZER, [stop])
    got = inside(sampler_of(), ["Hi"], n=1, max_new_tokens=20, stopping_criteria=[criterion])[0]
    text = TOKENIZER.decode(got, skip_special_tokens=True)
    assert free.startswith(text)
    assert stop in text[2:]
    assert len(text) < len(free)


class FavourRowTokens(LogitsProcessor):
    """Raises the logit of a token of each row's own, so that it must know which row is which."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        assert len(scores) == len(input_ids) == 8
        rows = torch.arange(len(scores))
        scores[rows, 30 + rows] += 4.0
        return scores


def test_logits_processors_see_all_rows_in_their_places() -> None:
    settings = {"n": 4, "max_new_tokens": 12, "logits_processor": LogitsProcessorList([FavourRowTokens()])}
    wanted = generated(ENDING, TOKENIZER, PROMPTS, **settings)
    assert torch.equal(inside(sampler_of(ENDING, beta=0.0), **settings), wanted)
    assert not torch.equal(wanted, generated(ENDING, TOKENIZER, PROMPTS, n=4, max_new_tokens=12))


def test_what_processors_forbid_no_fusion_brings_back() -> None:
    def digits_only(batch: int, text: Tensor) -> list[int]:
        return TOKENIZER.convert_tokens_to_ids(list("0123456789"))

    for filtering in ("post-filter", "pre-filter"):
        sampler = sampler_of(beta=2.0, filtering=filtering)
        sequences = inside(sampler, n=4, top_k=0, prefix_allowed_tokens_fn=digits_only, remove_invalid_values=True)
        rows = TOKENIZER.batch_decode(torch.tensor(new_tokens(sequences, MODEL)))
        assert all(row.isdigit() for row in rows)


def test_processors_that_write_into_the_logits_do_not_reach_those_that_come_out() -> None:
    more = {"return_dict_in_generate": True, "output_logits": True}
    output = inside(sampler_of(), n=4, max_new_tokens=1, logits_processor=[FavourRowTokens()], **more)
    wanted = generated(MODEL, TOKENIZER, PROMPTS, n=4, max_new_tokens=1, **more)
    torch.testing.assert_close(output.logits, wanted.logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("texts", ["Hi", PROMPTS])
def test_a_pipeline_passes_the_sampler_through(texts: str | list[str]) -> None:
    sampler = sampler_of()
    generator = pipeline("text-generation", model=MODEL, tokenizer=TOKENIZER)
    settings = {"temperature": 0.8, "top_k": 30, "max_new_tokens": 8}
    found = generator(
        texts,
        custom_generate=sampler,
        do_sample=True,
        num_return_sequences=3,
        seed=4,
        return_full_text=False,
        add_special_tokens=True,
        **settings,
    )
    listed, found = ([texts], [found]) if isinstance(texts, str) else (texts, found)
    for prompt, samples in zip(listed, found, strict=True):
        wanted = sampler.generate(prompt, n=3, seed=4, min_p=None, **settings).texts[0]
        assert [sample["generated_text"] for sample in samples] == wanted


def test_an_empty_prompt_begins_with_the_beginning() -> None:
    got = MODEL.generate(custom_generate=sampler_of(beta=0.0), do_sample=True, max_new_tokens=6, num_return_sequences=1)
    assert got.shape == (1, 7)
    assert got[0, 0] == TOKENIZER.bos_token_id


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("assistant_model", tiny_model(seed=1)),
        ("synced_gpus", True),
        ("past_key_values", DynamicCache()),
        ("inputs_embeds", torch.zeros(1, 3, 64)),
        ("position_ids", torch.tensor([[5, 6, 7]])),
        ("attention_mask", torch.tensor([[1, 1, 0]])),
        ("attention_mask", torch.tensor([[1, 0, 1]])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_argument_that_cannot_be_honoured_is_refused_by_name(name: str, value: Any) -> None:
    inputs = {"input_ids": torch.tensor([[2, 30, 41]])} | {name: value}
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        MODEL.generate(**inputs, custom_generate=sampler_of(), do_sample=True, max_new_tokens=3)


def test_token_types_are_refused() -> None:
    model = tiny_model("gpt2")
    inputs = {"input_ids": torch.tensor([[2, 30, 41]]), "token_type_ids": torch.ones(1, 3, dtype=torch.int64)}
    with pytest.raises(ValueError, match=r"^token_type_ids must be left out"):
        model.generate(**inputs, custom_generate=sampler_of(model), do_sample=True, max_new_tokens=3)


def test_images_are_refused() -> None:
    model = tiny_model("llava")
    inputs = {"input_ids": torch.tensor([[2, 255, 255, 255, 255]]), "pixel_values": torch.zeros(1, 3, 8, 8)}
    with pytest.raises(ValueError, match=r"^pixel_values must be left out"):
        model.generate(**inputs, custom_generate=sampler_of(model), do_sample=True, max_new_tokens=3)


def test_embeddings_without_text_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^inputs_embeds must be left out"):
        MODEL.generate(
            inputs_embeds=torch.zeros(1, 3, 64), custom_generate=sampler_of(), do_sample=True, max_new_tokens=3
        )


def test_a_sampler_of_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^custom_generate must be a sampler of the model that generates"):
        MODEL.generate(torch.tensor([[2, 30]]), custom_generate=sampler_of(tiny_model()), do_sample=True, max_length=4)


def test_guidance_by_hand_is_refused() -> None:
    processor = UnbatchedClassifierFreeGuidanceLogitsProcessor(1.5, MODEL)
    with pytest.raises(ValueError, match=r"^logits_processor must hold no UnbatchedClassifierFreeGuidance"):
        inside(sampler_of(), logits_processor=[processor])


def test_other_warpers_are_refused_before_a_fusion_over_the_vocabulary() -> None:
    with pytest.raises(ValueError, match=r"^filtering must be 'post-filter' beside top_h, got 'pre-filter'"):
        inside(sampler_of(filtering="pre-filter"), top_h=0.9)


def test_samples_of_different_lengths_need_padding() -> None:
    model = tiny_model()
    model.generation_config.eos_token_id = model.generation_config.pad_token_id = None
    sampler = sampler_of(model)
    with pytest.raises(ValueError, match=r"^pad_token_id must be set where stopping_criteria .* got None"):
        inside(sampler, ["Hi"], stopping_criteria=[AfterTokens(3)])
    length = len(TOKENIZER("Hi")["input_ids"])
    assert inside(sampler, ["Hi"]).shape == (3, length + 8)


def test_a_model_that_cannot_be_padded_is_refused_with_prompts_of_different_lengths() -> None:
    sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "decoder_attention_heads": 4, "init_std": 0.2}
    tokens = {"vocab_size": 256, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
    model = BartForCausalLM(BartConfig(is_decoder=True, is_encoder_decoder=False, **sizes, **tokens)).eval()
    sampler = sampler_of(model)
    with pytest.raises(ValueError, match=r"^input_ids must hold prompts of one length, since BartForCausalLM"):
        inside(sampler, PROMPTS)
    assert inside(sampler, ["Hi", "Ho"]).shape[0] == 6


def test_called_by_hand_it_wants_what_generate_prepares() -> None:
    sampler, ids = sampler_of(), torch.tensor([[2, 30, 41]])
    config = MODEL.generation_config
    config = type(config)(**config.to_dict() | {"do_sample": True, "temperature": 0.5, "max_length": 6})
    MODEL._prepare_special_tokens(config, True, device=ids.device)
    criteria = StoppingCriteriaList([MaxLengthCriteria(6)])
    with pytest.raises(ValueError, match=r"^logits_processor must end in \['TemperatureLogitsWarper'\]"):
        sampler(MODEL, ids, LogitsProcessorList(), criteria, config)
    config.temperature = 1.0
    config.num_return_sequences = 2
    with pytest.raises(ValueError, match=r"^input_ids must hold each prompt num_return_sequences = 2 times"):
        sampler(MODEL, ids, LogitsProcessorList(), criteria, config)
    config.num_return_sequences = 1
    streamer = Recorder()
    sequences = sampler(MODEL, ids, LogitsProcessorList(), criteria, config, streamer=streamer)
    assert [[token] for token in sequences[0, 3:].tolist()] == streamer.told[:-1]


def test_the_model_and_its_configuration_are_as_before() -> None:
    model = tiny_model("opt").train()
    before = model.generation_config.to_dict()
    inside(sampler_of(model))
    assert model.training
    assert model.generation_config.to_dict() == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Keep(Callback):
    def on_generate_end(self, result: GenerationResult) -> None:
        self.result = result

    def on_exception(self, error: BaseException) -> None:
        self.error = error


def test_callbacks_are_shown_the_result_with_the_reasons_of_the_ends() -> None:
    sampler, keep = sampler_of(ENDING), Keep()
    sequences = inside(sampler, n=4, max_new_tokens=12, callbacks=[keep])
    own = sampler.generate(PROMPTS, n=4, max_new_tokens=12, top_k=50, min_p=None)
    assert keep.result.texts == own.texts
    for mine, theirs in zip(chain(*keep.result.samples), chain(*own.samples), strict=True):
        assert mine.finish_reason == theirs.finish_reason
        assert torch.equal(mine.log_probs, theirs.log_probs)
        assert torch.equal(mine.novelty.nan_to_num(), theirs.novelty.nan_to_num())
    reasons = {sample.finish_reason for samples in keep.result.samples for sample in samples}
    assert reasons == {"eos", "length"}
    assert sequences.shape[0] == 8


def test_an_end_criterion_of_ones_own_replaces_the_configured_ends() -> None:
    keep = Keep()
    rows = inside(sampler_of(ENDING), n=4, max_new_tokens=12, stopping_criteria=[EosTokenCriteria(5)], callbacks=[keep])
    assert {sample.finish_reason for sample in keep.result.samples[0]} == {"length"}
    assert ((rows >= 100) & (rows < 125)).any()


def test_a_callback_hears_of_what_goes_wrong_on_the_way() -> None:
    def failing(input_ids: Tensor, scores: Tensor) -> Tensor:
        raise RuntimeError("in a processor")

    keep = Keep()
    with pytest.raises(RuntimeError, match="in a processor"):
        inside(sampler_of(), logits_processor=[failing], callbacks=[keep])
    assert str(keep.error) == "in a processor"
    assert not any(module._forward_pre_hooks for module in MODEL.modules())
