"""Every scheduler gives the tokens, and all else, of the synchronous one: through the whole sampler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch

from esamp import Callback, ESampSampler, GenerationResult
from esamp.schedulers import (
    AutoScheduler,
    CudaStreamScheduler,
    OverlapScheduler,
    SynchronousScheduler,
    ThreadScheduler,
    schedulers,
)
from esamp.testing.models import tiny_model, tiny_tokenizer
from esamp.testing.streams import Replay, SimulatedMachine, races
from tests.schedulers.course import SMALL, attend, explorer, same

PROMPTS = ["one two three", "four five", "six seven eight nine"]

_SETTINGS: dict[str, dict[str, Any]] = {
    "ragged": {"n": 4, "max_new_tokens": 12},
    "waves": {"n": 5, "waves": 3, "max_new_tokens": 6},
    "batches": {"n": 3, "batch_size": 2, "max_new_tokens": 6},
    "one token": {"n": 3, "max_new_tokens": 1},
}
_CUDA = "cuda_stream"
_OTHERS = [name for name in schedulers.names() if name != "synchronous"]


def _scheduler(name: str) -> OverlapScheduler:
    return CudaStreamScheduler(backend=SimulatedMachine()) if name == _CUDA else schedulers.build(name)


def _sampler(scheduler: OverlapScheduler, distiller: str, **parts: Any) -> ESampSampler:
    model = tiny_model()
    # A seventh of the vocabulary ends a sample: rows leave at different times.
    model.generation_config.eos_token_id = list(range(1, 256, 7))
    recipe = SMALL[distiller]()
    return ESampSampler(model, tiny_tokenizer(), scheduler=scheduler, distiller=recipe, beta=1.0, **parts)


def _generate(scheduler: OverlapScheduler, distiller: str, settings: dict[str, Any], **parts: Any) -> GenerationResult:
    return _sampler(scheduler, distiller, **parts).generate(PROMPTS, seed=3, min_p=None, **settings)


def _everything(result: GenerationResult) -> list[torch.Tensor]:
    kinds = ("token_ids", "log_probs", "reference_log_probs", "novelty", "kl", "candidates")
    said = [getattr(sample, kind) for samples in result.samples for sample in samples for kind in kinds]
    states = [buffer for bank in result.state for buffer in bank.distiller.buffers()]
    return [*said, result.diagnostics.loss, result.diagnostics.resets, *states]


@pytest.mark.parametrize("settings", _SETTINGS.values(), ids=_SETTINGS)
@pytest.mark.parametrize("distiller", ["recursive_least_squares", "low_rank", "noise", "hierarchical"])
@pytest.mark.parametrize("name", _OTHERS)
def test_a_generation_is_the_same_to_the_last_bit(name: str, distiller: str, settings: dict[str, Any]) -> None:
    wanted = _generate(SynchronousScheduler(), distiller, settings)
    got = _generate(_scheduler(name), distiller, settings)
    assert same(_everything(got), _everything(wanted))
    assert got.texts == wanted.texts


def test_the_settings_above_do_what_they_say() -> None:
    ragged = _generate(SynchronousScheduler(), "low_rank", _SETTINGS["ragged"])
    lengths = {len(sample.token_ids) for samples in ragged.samples for sample in samples}
    assert len(lengths) > 3


@pytest.mark.parametrize("name", _OTHERS)
@pytest.mark.parametrize("distiller", SMALL)
def test_an_explorers_life_is_the_same_to_the_last_bit(name: str, distiller: str) -> None:
    """Rows that move, leave and return, a broken group, a recycled slot: for every distiller."""
    wanted = attend(explorer(SMALL[distiller](), SynchronousScheduler()))
    for _ in range(3):
        assert same(attend(explorer(SMALL[distiller](), _scheduler(name))), wanted)


@pytest.mark.parametrize("name", _OTHERS)
def test_learning_from_the_prompt_is_the_same(name: str) -> None:
    settings = _SETTINGS["waves"]
    wanted = _generate(SynchronousScheduler(), "recursive_least_squares", settings, learn_prompt=True)
    got = _generate(_scheduler(name), "recursive_least_squares", settings, learn_prompt=True)
    assert same(_everything(got), _everything(wanted))


class _Losses(Callback):
    """Reads each step's loss at once, and again when all is over."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.at_once: list[torch.Tensor] = []

    def on_step(self, record: Any) -> None:
        self.records.append(record)
        self.at_once.append(record.loss.clone())


@pytest.mark.parametrize("name", schedulers.names())
def test_a_loss_is_its_steps_whenever_it_is_read(name: str) -> None:
    seen = _Losses()
    result = _generate(_scheduler(name), "low_rank", {"n": 3, "max_new_tokens": 8, "callbacks": [seen]})
    steps = len(seen.records)
    assert torch.equal(torch.stack(seen.at_once, dim=1), result.diagnostics.loss[:, :steps])
    assert same([record.loss for record in seen.records], seen.at_once)


@pytest.mark.parametrize("extra", [{}, {"learn_prompt": True}], ids=["", "learn_prompt"])
def test_a_whole_generation_has_no_race_and_no_idle_event(extra: dict[str, Any]) -> None:
    machine = SimulatedMachine()
    settings = {"n": 3, "waves": 2, "max_new_tokens": 2, "temperature": 1.3}
    sampler = _sampler(CudaStreamScheduler(backend=machine), "recursive_least_squares", **extra)
    with patch("esamp.functional.looking.free_to_look", lambda tensor: False), machine:
        kept = _everything(sampler.generate(["one", "four"], seed=3, **settings))
        references = [machine.reference(tensor) for tensor in kept]
    program = machine.program()
    assert [str(race) for race in races(program)] == []
    assert [program.items[place] for place in program.marks if not races(program.without(place))] == []
    replay = Replay(program, references)
    for bursts in ([], [0, 10**6], [1, 10**6] * 2000, [7, 3] * 2000):
        assert same(replay.run(program.order(bursts)), kept)


def test_a_residual_stream_that_is_added_to_in_place_does_no_harm() -> None:
    def tokens(scheduler: OverlapScheduler, change: Callable[[Any, Any], Any]) -> list[list[int]]:
        model = tiny_model()
        model.model.layers[1].register_forward_pre_hook(change)
        sampler = ESampSampler(model, tiny_tokenizer(), scheduler=scheduler, distiller=SMALL["low_rank"](), beta=1.0)
        samples = sampler.generate("one two", n=3, max_new_tokens=6, ignore_eos=True).samples[0]
        return [sample.token_ids.tolist() for sample in samples]

    def in_place(module: Any, args: tuple[torch.Tensor]) -> None:
        args[0].add_(args[0].flip(-1))

    wanted = tokens(SynchronousScheduler(), lambda module, args: (args[0] + args[0].flip(-1),))
    for name in schedulers.names():
        assert tokens(_scheduler(name), in_place) == wanted


class _Notes(OverlapScheduler):
    """Works in line and writes down who asked for what."""

    def __init__(self) -> None:
        self.inner = SynchronousScheduler()
        self.calls = ""

    def submit(self, work: Any) -> Any:
        self.calls += "s"
        return self.inner.submit(work)

    def wait(self, pending: Any) -> Any:
        self.calls += "w"
        return self.inner.wait(pending)


def test_nobody_waits_for_learning_before_the_next_prediction_is_under_way() -> None:
    notes = _Notes()
    _generate(notes, "low_rank", {"n": 3, "max_new_tokens": 6, "ignore_eos": True})
    first, *steps, last, end = notes.calls.split("s")
    assert first == ""
    # Between a prediction and its learning somebody waits, between learning and the next prediction nobody does.
    assert [bool(waits) for waits in (*steps, last)] == [True, False] * 5 + [True]
    assert end != ""


class _BrokenError(Exception):
    pass


@pytest.mark.parametrize("work", ["learn", "forward"])
@pytest.mark.parametrize("name", schedulers.names())
def test_what_a_distiller_raises_ends_the_generation(name: str, work: str) -> None:
    def fail(*args: Any) -> Any:
        raise _BrokenError

    scheduler = _scheduler(name)
    target = f"esamp.distillers.recursive_least_squares.RecursiveLeastSquaresDistiller.{work}"
    with patch(target, fail), pytest.raises(_BrokenError):
        _generate(scheduler, "recursive_least_squares", _SETTINGS["ragged"])
    # The sampler's scheduler goes on.
    assert scheduler.wait(scheduler.submit(lambda: 7)) == 7


def test_auto_takes_what_fits_the_device() -> None:
    assert type(AutoScheduler().bind(torch.device("cpu"))) is SynchronousScheduler
    assert type(AutoScheduler().bind(torch.device("cuda"))) is CudaStreamScheduler
    sampler = ESampSampler(tiny_model(), tiny_tokenizer(), scheduler="auto")
    assert type(sampler.scheduler) is SynchronousScheduler


def test_a_stream_scheduler_for_a_model_on_the_cpu_is_refused() -> None:
    with pytest.raises(
        ValueError, match="'cuda_stream' needs a model on a CUDA device, got one on 'cpu'; choose 'auto'"
    ):
        ESampSampler(tiny_model(), tiny_tokenizer(), scheduler="cuda_stream")


@pytest.mark.parametrize(("priority", "kind"), [(1, ValueError), (-4, ValueError), (0.5, TypeError)])
def test_the_priority_is_checked(priority: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="priority"):
        CudaStreamScheduler(priority=priority)


def test_the_side_stream_has_the_priority() -> None:
    machine = SimulatedMachine()
    scheduler = CudaStreamScheduler(priority=-2, backend=machine)
    seen = scheduler.wait(scheduler.submit(machine.current_stream))
    assert (seen.number, seen.priority) == (1, -2)
    assert machine.current_stream().number == 0


def test_thread_is_no_default() -> None:
    assert type(ESampSampler(tiny_model(), tiny_tokenizer()).scheduler) is not ThreadScheduler
