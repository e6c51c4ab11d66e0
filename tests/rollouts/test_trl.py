"""TRL's GRPO trains on samples that ESamp drew, and is told the probabilities they were drawn with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer

from esamp import ESampSampler
from esamp.rollouts import ESampRollouts, runs_of
from esamp.testing.models import tiny_model, tiny_tokenizer

# Of transformers and torch, about names that TRL still uses.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")

TEXTS = ["Once upon", "Hi", "The end"]
CHATS = [[{"role": "user", "content": text}] for text in TEXTS]


def distinct_letters(completions: list[Any], **_: Any) -> list[float]:
    return [float(len(set(str(completion)))) for completion in completions]


@pytest.fixture
def trainer_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., GRPOTrainer]:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")

    def make(
        rollouts: Any, prompts: list[Any] = TEXTS, kind: type[GRPOTrainer] = GRPOTrainer, **settings: Any
    ) -> GRPOTrainer:
        peft_config = settings.pop("peft_config", None)
        model = settings.pop("model", None) or tiny_model()
        fixed = {
            "output_dir": str(tmp_path),
            "use_cpu": True,
            "per_device_train_batch_size": 8,
            "num_generations": 4,
            "max_completion_length": 8,
            "learning_rate": 1e-2,
            "max_steps": 1,
            "report_to": [],
            "save_strategy": "no",
            "disable_tqdm": True,
        }
        return kind(
            model=model,
            reward_funcs=distinct_letters,
            args=GRPOConfig(**fixed | {"bf16": False} | settings),
            train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
            processing_class=tiny_tokenizer(chat_template=True),
            rollout_func=rollouts,
            peft_config=peft_config,
        )

    return make


class Watched:
    """Remembers what the rollouts gave back."""

    def __init__(self, **parts: Any) -> None:
        self.rollouts = ESampRollouts(**{"beta": 0.5, "distiller": "mlp"} | parts)
        self.given: list[tuple[list[Any], dict[str, list[Any]]]] = []

    def __call__(self, prompts: list[Any], trainer: GRPOTrainer) -> dict[str, list[Any]]:
        output = self.rollouts(prompts, trainer)
        self.given.append((prompts, output))
        return output


class Scored(GRPOTrainer):
    """Keeps what it trains on, and its own log-probabilities of that."""

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)
        ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
        mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
        with torch.no_grad():
            own, _, _ = self._get_per_token_logps_and_entropies(
                self.model.eval(), ids, mask, output["completion_ids"].shape[1]
            )
        self.model.train()
        self.scored = (own * output["completion_mask"], output["sampling_per_token_logps"])
        return output


@pytest.mark.parametrize("prompts", [TEXTS, CHATS], ids=["text", "chat"])
def test_a_step_of_grpo_trains_on_the_samples_of_the_sampler(trainer_of: Any, prompts: list[Any]) -> None:
    rollouts = Watched(seed=5)
    trainer = trainer_of(rollouts, prompts, temperature=0.9, top_k=40)
    before = trainer.model.lm_head.weight.detach().clone()
    trainer.train()
    assert not torch.equal(trainer.model.lm_head.weight, before)
    ((given, output),) = rollouts.given
    assert {len(column) for column in output.values()} == {8}
    sampler = ESampSampler(tiny_model(), tiny_tokenizer(chat_template=True), beta=0.5, distiller="mlp")
    groups = [run[0] for run in runs_of(given, 4)]
    wanted = sampler.generate(groups, n=4, max_new_tokens=8, temperature=0.9, top_k=40, top_p=1.0, min_p=None, seed=5)
    samples = [sample for of_prompt in wanted.samples for sample in of_prompt]
    assert output["completion_ids"] == [sample.token_ids.tolist() for sample in samples]
    for log_probs, sample in zip(output["logprobs"], samples, strict=True):
        torch.testing.assert_close(torch.tensor(log_probs), sample.log_probs)
    special = prompts is CHATS  # the template has written them into the text
    texts = [tiny_tokenizer().decode(ids, skip_special_tokens=not special) for ids in output["prompt_ids"]]
    assert texts == [text for text in wanted.prompts for _ in range(4)]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_without_beta_the_trainer_and_the_sampler_agree_on_every_log_probability(
    trainer_of: Any, temperature: float
) -> None:
    trainer = trainer_of(ESampRollouts(beta=0.0), kind=Scored, temperature=temperature, top_k=0)
    trainer.train()
    own, drawn = trainer.scored
    torch.testing.assert_close(drawn, own, rtol=1e-3, atol=1e-4)


def test_with_beta_the_log_probabilities_are_those_of_the_tilted_distribution(trainer_of: Any) -> None:
    trainer = trainer_of(ESampRollouts(beta=0.5, distiller="mlp"), kind=Scored, top_k=0)
    trainer.train()
    own, drawn = trainer.scored
    # An untrained distiller tilts nothing at the first token.
    torch.testing.assert_close(drawn[:, 0], own[:, 0], rtol=1e-3, atol=1e-4)
    assert ((drawn - own)[:, 2:].abs() > 0.05).float().mean() > 0.5


def test_calls_draw_with_other_noise(trainer_of: Any) -> None:
    rollouts = Watched(beta=0.0)
    trainer = trainer_of(rollouts, ["Hi"], learning_rate=0.0, max_steps=2, per_device_train_batch_size=4)
    trainer.train()
    first, second = (output["completion_ids"] for _, output in rollouts.given)
    assert first != second


def test_processes_draw_with_other_noise(trainer_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for process in (0, 1):
        trainer = trainer_of(None, ["Hi"])
        monkeypatch.setattr(type(trainer.accelerator), "num_processes", 2)
        monkeypatch.setattr(type(trainer.accelerator), "process_index", process)
        rollouts = ESampRollouts(beta=0.0)
        found += [rollouts(["Hi"] * 4, trainer)["completion_ids"] for _ in range(2)]
    assert all(one != other for i, one in enumerate(found) for other in found[:i])


def test_a_prompt_that_comes_twice_in_a_row_is_two_groups() -> None:
    assert [len(run) for run in runs_of(["a"] * 8 + ["b"] * 3 + ["a"], 4)] == [4, 4, 3, 1]


def test_groups_of_different_sizes_keep_their_order(trainer_of: Any) -> None:
    trainer = trainer_of(None)
    output = ESampRollouts(beta=0.0)(["Hi", "Hi", "The end", "Hi", "Hi", "Hi"], trainer)
    texts = [tiny_tokenizer().decode(ids, skip_special_tokens=True) for ids in output["prompt_ids"]]
    assert texts == ["Hi", "Hi", "The end", "Hi", "Hi", "Hi"]
    # Samples 0 and 1 of a prompt without tilt, whatever is beside it.
    assert output["completion_ids"][:2] == output["completion_ids"][3:5]


def test_a_lora_adapter_is_trained_on_its_own_samples(trainer_of: Any) -> None:
    lora = LoraConfig(target_modules=["q_proj", "v_proj"], r=4)
    trainer = trainer_of(ESampRollouts(beta=0.5, distiller="mlp"), kind=Scored, top_k=0, peft_config=lora)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters() if value.requires_grad}
    trainer.train()
    assert any(
        not torch.equal(value, before[name]) for name, value in trainer.model.named_parameters() if name in before
    )


def test_a_model_under_autocast_rolls_out(trainer_of: Any) -> None:
    trainer = trainer_of(ESampRollouts(beta=0.0), kind=Scored, top_k=0, bf16=True)
    trainer.train()
    own, drawn = trainer.scored
    torch.testing.assert_close(drawn, own, rtol=0.05, atol=0.05)


def test_penalties_of_the_configuration_act_and_checkpoints_settings_do_not(trainer_of: Any) -> None:
    model = tiny_model()
    model.generation_config.min_p = 0.9
    model.generation_config.do_sample = True
    before = model.generation_config.to_dict()
    trainer = trainer_of(None, top_k=0, model=model, generation_kwargs={"suppress_tokens": list(range(4, 140))})
    ids = ESampRollouts(beta=0.0)(["Hi"] * 4, trainer)["completion_ids"]
    assert all(token < 4 or token >= 140 for row in ids for token in row)
    assert len({tuple(row) for row in ids}) == 4
    assert model.generation_config.to_dict() == before


@pytest.mark.parametrize("name", ["use_vllm", "use_transformers_continuous_batching", "tools"])
def test_what_cannot_be_done_is_refused_by_name(trainer_of: Any, name: str) -> None:
    trainer = trainer_of(None)
    setattr(trainer, name, ["a tool"] if name == "tools" else True)
    with pytest.raises(ValueError, match=rf"^{name} must be off with ESampRollouts"):
        ESampRollouts()(["Hi"], trainer)


def test_beams_are_refused_by_name(trainer_of: Any) -> None:
    trainer = trainer_of(None, generation_kwargs={"num_beams": 4})
    with pytest.raises(ValueError, match=r"^num_beams must be 1 with ESampSampler as custom_generate, got 4"):
        ESampRollouts()(["Hi"] * 4, trainer)


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), (0.5, TypeError)])
def test_a_wrong_seed_is_refused(seed: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="seed"):
        ESampRollouts(seed)
