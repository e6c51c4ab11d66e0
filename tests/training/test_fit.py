"""Recording and fitting on a tiny model: what is on disk, what resumes, what starts better."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from esamp.distillers import FrozenDistiller, HierarchicalDistiller, LowRankDistiller, RecursiveLeastSquaresDistiller
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.testing import check_distiller
from esamp.testing.models import tiny_model
from esamp.training import FitSettings, Pairs, PairsDataModule, check_trainable, fit, record, windows_of
from esamp.training import pairs as pairs_on_disk
from tests.training.texts import TEXT

WINDOW, D = 32, 64


@pytest.fixture(scope="module")
def engine(tokenizer: PreTrainedTokenizerFast) -> HuggingFaceEngine:
    return HuggingFaceEngine(tiny_model(), tokenizer)


@pytest.fixture(scope="module")
def windows(engine: HuggingFaceEngine) -> torch.Tensor:
    return windows_of(engine, [TEXT], WINDOW)


@pytest.fixture(scope="module")
def pairs(engine: HuggingFaceEngine, windows: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    return record(engine, windows, tmp_path_factory.mktemp("pairs"))[0]


def run(pairs: Pairs, out: Path, epochs: int, resume: Path | None = None, **changes):
    trainer = {"max_epochs": epochs, "accelerator": "cpu"}
    settings = FitSettings(out, batch_size=64, resume=resume, trainer=trainer, **changes)
    return fit(LowRankDistiller(rank=4), pairs, WINDOW - 1, settings, model="tiny")


def test_pairs_are_what_the_model_has_at_every_position_but_the_first(engine, windows, pairs) -> None:
    states = engine.model(input_ids=windows[:2], output_hidden_states=True).hidden_states
    shallow, deep = pairs.take(torch.arange(2 * (WINDOW - 1)))
    torch.testing.assert_close(shallow, states[1][:, 1:].flatten(0, 1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(deep, states[-1][:, 1:].flatten(0, 1), rtol=1e-4, atol=1e-4)
    assert len(pairs) == len(windows) * (WINDOW - 1)


def test_rows_of_several_shards_are_found(engine, windows, pairs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("esamp.training.recording._SHARD", 3 * WINDOW)
    cut, _ = record(engine, windows, tmp_path)
    assert len(cut.shallow) > 2
    index = torch.tensor([0, len(pairs) - 1, 3 * (WINDOW - 1), 5])
    for got, wanted in zip(cut.take(index), pairs.take(index), strict=True):
        torch.testing.assert_close(got, wanted)


def test_a_recording_is_reused_until_the_model_or_the_text_is_another(engine, windows, tokenizer, tmp_path) -> None:
    assert [record(engine, windows, tmp_path)[1] for _ in range(2)] == [False, True]
    assert not record(engine, windows[1:], tmp_path)[1]
    assert not record(HuggingFaceEngine(tiny_model(seed=1), tokenizer), windows, tmp_path)[1]


def test_a_killed_recording_is_not_taken_for_whole(engine, windows, tmp_path, monkeypatch) -> None:
    save, calls = pairs_on_disk.save_file, []

    def killed(tensors, path) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        save(tensors, path)

    monkeypatch.setattr("esamp.training.recording._SHARD", 3 * WINDOW)
    with monkeypatch.context() as patch:
        patch.setattr(pairs_on_disk, "save_file", killed)
        with pytest.raises(KeyboardInterrupt):
            record(engine, windows, tmp_path)
    recorded, reused = record(engine, windows, tmp_path)
    assert not reused and len(recorded) == len(windows) * (WINDOW - 1)
    shard = next(recorded.folder.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-8])
    assert not record(engine, windows, tmp_path)[1]


def test_the_end_of_the_text_is_held_out_whole(pairs) -> None:
    for share in (1e-9, 0.25, 1 - 1e-9):
        data = PairsDataModule(pairs, WINDOW - 1, validation=share)
        train, held_out = len(data.training), len(data.held_out)
        assert train + held_out == len(pairs)
        assert train % (WINDOW - 1) == held_out % (WINDOW - 1) == 0 and train > 0 and held_out > 0
    _, deep = pairs.take(torch.arange(data.held_out.start, data.held_out.stop))
    assert data.variance() == pytest.approx(float(deep.var(dim=0, correction=0).mean()), rel=1e-4)


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(pairs, tmp_path) -> None:
    whole = run(pairs, tmp_path / "whole", 4)
    first = run(pairs, tmp_path / "parts", 2)
    rest = run(pairs, tmp_path / "parts", 4, resume=first.checkpoint)
    weights = [LowRankDistiller(rank=4, start=str(fitted.start)).start_parameters(D) for fitted in (whole, rest)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    assert (whole.after, whole.before) == (rest.after, rest.before)


def test_a_resume_with_other_settings_is_refused(pairs, tmp_path) -> None:
    first = run(pairs, tmp_path, 1)
    with pytest.raises(ValueError, match=r"^resume must go on with the same settings, and lr was 0.001 and is 0.5"):
        run(pairs, tmp_path, 2, resume=first.checkpoint, lr=0.5)
    with pytest.raises(ValueError, match=r"^trainer.max_epochs must be above the 1 epochs of the checkpoint, got 1"):
        run(pairs, tmp_path / "elsewhere", 1, resume=first.checkpoint)


def test_a_warm_start_errs_less_than_a_cold_one_on_held_out_text(pairs, tmp_path) -> None:
    fitted = run(pairs, tmp_path, 8)
    assert fitted.after < fitted.before
    held_out = PairsDataModule(pairs, WINDOW - 1).held_out
    shallow, deep = (values[None] for values in pairs.take(torch.arange(held_out.start, held_out.stop)))
    errors = []
    for start in ("zero", str(fitted.start)):
        distiller = LowRankDistiller(rank=4, start=start)
        distiller.setup(D, 1)
        errors.append(float((distiller(shallow) - deep).square().mean()))
        slot = distiller.weights()["out"].clone()
        distiller.learn(shallow, deep, torch.ones(shallow.shape[:2]))
        assert not torch.equal(distiller.weights()["out"], slot)
        distiller.reset(torch.tensor([True]))
        assert torch.equal(distiller.weights()["out"], slot)
    assert errors[1] < 0.9 * errors[0]
    around = HierarchicalDistiller(trunk=FrozenDistiller(LowRankDistiller(rank=4)).load(fitted.start))
    around.setup(D, 1)
    torch.testing.assert_close(around.trunk(shallow), distiller(shallow))


def test_precision_is_lightnings(pairs, tmp_path) -> None:
    settings = FitSettings(tmp_path, trainer={"max_epochs": 1, "accelerator": "cpu", "precision": "bf16-mixed"})
    fitted = fit(LowRankDistiller(rank=4), pairs, WINDOW - 1, settings, model="tiny")
    assert fitted.after < fitted.before


def test_a_training_that_diverges_says_so(pairs, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"^lr must be low enough that training does not diverge, got 1e\+30"):
        run(pairs, tmp_path, 3, lr=1e30)


def test_what_has_no_gradients_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^distiller must be trained by gradients .*got RecursiveLeastSquares"):
        check_trainable(RecursiveLeastSquaresDistiller())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"validation": 0.0}, r"^validation must be a finite number in \(0, 1\), got 0.0"),
        ({"validation": 1.0}, r"^validation must be a finite number in \(0, 1\), got 1.0"),
        ({"trainer": {"precision": "7"}}, r"^trainer must have arguments that Lightning takes.*Precision '7'"),
        ({"trainer": {"max_epochs": 0}}, r"^trainer.max_epochs must be an integer >= 1, got 0"),
        ({"resume": Path("/not/there.ckpt")}, r"^resume must be a checkpoint .*'/not/there.ckpt' is not there"),
        ({"out": Path("/dev/null/out")}, r"^out must be a folder that can be made, got '/dev/null/out'"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_read(tmp_path: Path, changes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FitSettings(**{"out": tmp_path, **changes})


def test_what_is_no_checkpoint_of_a_fit_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("not tensors")
    torch.save({"optimizer_states": [], "hyper_parameters": {}}, tmp_path / "other.ckpt")
    for name, said in (("text.ckpt", "cannot be read"), ("other.ckpt", "is one of something else"), ("", "a folder")):
        with pytest.raises(ValueError, match=rf"^resume must be a checkpoint that `esamp fit` left.*{said}"):
            FitSettings(tmp_path / "out", resume=tmp_path / name)


def test_a_text_of_less_than_two_windows_is_refused(engine) -> None:
    with pytest.raises(ValueError, match=r"^texts must fill at least two windows of 32 tokens.*they hold \d+ tokens"):
        windows_of(engine, ["too short"], WINDOW)


def test_a_loaded_distiller_keeps_every_contract(tmp_path) -> None:
    from esamp.distillers.start_file import write_start

    bank = LowRankDistiller(rank=4, start="random", seed=3)
    path = tmp_path / "start.safetensors"
    write_start(path, bank, bank.start_parameters(16), 16, model="none", release="0")

    check_distiller(lambda: LowRankDistiller(rank=4).load(path))
    check_distiller(lambda: LowRankDistiller(rank=4, start="llm"))
