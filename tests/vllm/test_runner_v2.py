"""Model runner V2 needs Triton to run; its own classes, as far as they go without, drive the adapter here."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsContext
from vllm.v1.worker.gpu.sample.logits_processor.loader import build_custom_logits_processors
from vllm.v1.worker.gpu.states import RequestState

from esamp import ESampSampler
from esamp.engines.huggingface.head import read_head
from esamp.engines.vllm.installation import Installation, make_explorer
from esamp.engines.vllm.plugin import PROCESSOR
from esamp.engines.vllm.records import Records
from esamp.engines.vllm.settings import Settings
from esamp.engines.vllm.taps import TappedRows
from esamp.llm import FrozenLLM
from esamp.testing.models import tiny_tokenizer
from tests.vllm.driving import params

CPU = torch.device("cpu")
PROMPTS = ["the sea is wide", "a bird in the hand is worth two"]
N, LENGTH, SEED = 3, 20, 5


class Fed:
    """In place of the taps: gives what the test says that the model has shown."""

    def __init__(self) -> None:
        self.rows: TappedRows | None = None

    def take(self) -> TappedRows | None:
        rows, self.rows = self.rows, None
        return rows


class RunnerV2:
    """As much of runner V2 as can be had without Triton: its request states, its loader, its context."""

    def __init__(self, model: PreTrainedModel) -> None:
        config = SimpleNamespace(
            additional_config={"esamp": {"max_groups": 3, "max_lanes": 4}},
            # Not the first rank: this one tells Prometheus nothing.
            parallel_config=SimpleNamespace(pipeline_parallel_size=1, rank=1),
            model_config=SimpleNamespace(runner_type="generate", seed=0),
            compilation_config=SimpleNamespace(mode=SimpleNamespace(value=0)),
            speculative_config=None,
            lora_config=None,
        )
        self.model, self.fed = model, Fed()
        # Pinned memory that a GPU sees does not exist here; the runner has a fallback, which copies.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vllm.v1.worker.gpu.buffer_utils.is_uva_available", lambda: False)
            vocabulary = model.config.vocab_size
            self.states = RequestState(8, 256, 64, 0, vocabulary, CPU, use_dense_all_token_ids=True)
        (self.processor,) = build_custom_logits_processors(config, self.states, False, [PROCESSOR])
        settings = Settings.of(config)
        explorer = make_explorer(settings, FrozenLLM(read_head(model)))
        self.processor._installation = Installation("tiny", settings, self.fed, explorer, Records(explorer), [])

    def add(self, name: str, prompt: list[int], text: list[int], asked: Any) -> None:
        self.states.add_request(name, len(prompt), prompt + text, 0, LENGTH)
        self.processor.add_request(self.states.req_id_to_index[name], asked)

    def step(self, texts: dict[str, list[int]]) -> dict[str, int]:
        """Forward these requests and draw a token for each; the names come in the order of the rows."""
        names = list(texts)
        self.processor.apply_staged_writes()
        slots = np.array([self.states.req_id_to_index[name] for name in names])
        hidden = [self._forward(texts[name]) for name in names]
        shallow, deep, logits = (torch.stack(column) for column in zip(*hidden, strict=True))
        position = torch.tensor([len(texts[name]) - 1 for name in names])
        self.fed.rows = TappedRows(deep, shallow, position)
        mapping = torch.from_numpy(slots)
        context = LogitsContext(
            expanded_idx_mapping=mapping,
            idx_mapping=mapping,
            idx_mapping_np=slots,
            expanded_local_pos=torch.zeros_like(mapping),
            input_ids=torch.tensor([texts[name][-1] for name in names]),
            pos=position,
            seq_lens_upper_bound_np=position.numpy() + 1,
        )
        with torch.inference_mode():
            drawn = self.processor.apply(logits, context)
        for temperature in (0.01, 1.0, 100.0):
            assert ((drawn / temperature).softmax(dim=-1).sort(dim=-1).values[:, -2:] == torch.tensor([0.0, 1.0])).all()
        return dict(zip(names, drawn.argmax(dim=-1).tolist(), strict=True))

    @torch.no_grad()
    def _forward(self, ids: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        made = self.model.model(torch.tensor([ids]), output_hidden_states=True)
        deep = made.last_hidden_state[0, -1]
        return made.hidden_states[1][0, -1], deep, self.model.lm_head(deep)


@pytest.fixture(scope="module")
def wanted(reference_model: PreTrainedModel) -> list[list[list[int]]]:
    sampler = ESampSampler(reference_model, tiny_tokenizer(512, chat_template=True), beta=0.5)
    result = sampler.generate(PROMPTS, n=N, max_new_tokens=LENGTH, seed=SEED, ignore_eos=True)
    return [[sample.token_ids.tolist() for sample in samples] for samples in result.samples]


@pytest.mark.parametrize("disturbed", [False, True], ids=["in order", "shuffled and preempted"])
def test_the_texts_are_those_of_the_hugging_face_engine(
    reference_model: PreTrainedModel, wanted: list[list[list[int]]], disturbed: bool
) -> None:
    runner, shuffle = RunnerV2(reference_model), random.Random(0)
    tokenizer = tiny_tokenizer(512, chat_template=True)
    prompts = [tokenizer(prompt)["input_ids"] for prompt in PROMPTS]
    asked = [params(f"g{p}", esamp_seed=SEED, esamp_min_p=0.05) for p in range(2)]
    names = [f"{p}-{i}" for p in range(2) for i in range(N)]
    texts = {name: list[int]() for name in names}
    for name in names:
        runner.add(name, prompts[int(name[0])], [], asked[int(name[0])])
    for step in range(LENGTH):
        if disturbed:
            shuffle.shuffle(names)
        if disturbed and step == 7:
            # Two are preempted; when they come back, all their tokens are filled in as if they were a prompt.
            for name in ("0-1", "0-2"):
                runner.states.remove_request(name)
            for name in ("0-1", "0-2"):
                runner.add(name, prompts[0], texts[name], asked[0])
        drawn = runner.step({name: prompts[int(name[0])] + texts[name] for name in names})
        for name, token in drawn.items():
            texts[name].append(token)
    assert [[texts[f"{p}-{i}"] for i in range(N)] for p in range(2)] == wanted


def test_a_slot_of_the_runner_that_is_used_again_gets_nothing_of_its_former_group(
    reference_model: PreTrainedModel,
) -> None:
    runner = RunnerV2(reference_model)
    prompt, asked = [2, 10, 11, 12], params("first", esamp_seed=SEED)
    runs: list[list[int]] = []
    for group in ("first", "second", "third", "fourth"):
        text: list[int] = []
        runner.add("only", prompt, text, params(group, esamp_seed=SEED))
        for _ in range(8):
            text.append(runner.step({"only": prompt + text})["only"])
        runner.states.remove_request("only")
        runs.append(text)
    assert asked.extra_args is not None
    assert all(run == runs[0] for run in runs)


def test_rows_without_esamp_are_not_touched(reference_model: PreTrainedModel) -> None:
    runner = RunnerV2(reference_model)
    runner.add("plain", [2, 10, 11], [], params())
    context = SimpleNamespace(idx_mapping_np=np.array([7]), seq_lens_upper_bound_np=np.array([3]))
    logits = torch.randn(1, 512)
    assert torch.equal(runner.processor.apply(logits.clone(), context), logits)
