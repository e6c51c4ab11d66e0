"""Two generations that take turns, step by step: the sharpest comparison that a busy machine allows."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import final

import torch
from typing_extensions import override

from esamp.callbacks import Callback, StepRecord
from esamp.engines.huggingface.engine import HuggingFaceEngine
from esamp.sampler import ESampSampler
from esamp.schedulers import OverlapScheduler
from esamp.studies.speed.pairs import Clock, Times

__all__ = ["Settle", "steps_of", "take_turns", "twin"]


def twin(sampler: ESampSampler) -> ESampSampler:
    """The same sampler on a second model object that shares every weight: hooks on the one are not on the other.

    It has a scheduler of its own, so that no work of the one waits for work of the other.
    """
    engine = sampler.engine
    weights = {id(tensor): tensor for tensor in (*engine.model.parameters(), *engine.model.buffers())}
    made = copy.copy(sampler)
    made.engine = HuggingFaceEngine(copy.deepcopy(engine.model, weights), engine.tokenizer, engine.compiled)
    made.scheduler = copy.copy(sampler.scheduler)
    return made


@final
class Settle(Callback):
    """Waits, at the end of each step, for what the scheduler still works at: a step's work ends in the step.

    To stand before the callback that hands over the turn.

    Args:
        scheduler: of the generation.
    """

    def __init__(self, scheduler: OverlapScheduler) -> None:
        self.scheduler = scheduler

    @override
    def on_step(self, record: StepRecord) -> None:
        # Works run in the order of their submission: this one is the last.
        self.scheduler.wait(self.scheduler.submit(lambda: None))


def take_turns(arms: Sequence[Callable[[Callback], object]], device: torch.device) -> list[list[tuple[float, float]]]:
    """Run the arms at once, one decode step of one of them at a time; of each arm, wall and CPU seconds of its laps.

    A lap ends with a step of the arm's loop; the first one holds the setting up and the prefill too. Who goes first
    changes from lap to lap. Each arm has a thread of its own, of which all but one always sleep, so that the
    process's CPU time in a lap is that lap's alone.

    Args:
        arms: each runs one generation with the callback it is given; all have equally many steps.
        device: of the models.
    """
    turns = [_Turn(device) for _ in arms]
    threads = torch.get_num_threads()

    def play(arm: Callable[[Callback], object], turn: _Turn) -> None:
        torch.set_num_threads(threads)  # a new thread does not inherit it
        try:
            turn.wait()
            arm(turn)
        except BaseException as error:
            turn.error = error
        finally:
            turn.finish()

    with ThreadPoolExecutor(len(arms)) as pool:
        for arm, turn in zip(arms, turns, strict=True):
            pool.submit(play, arm, turn)
        try:
            order = list(turns)
            while not any(turn.error for turn in turns) and not all(turn.finished for turn in turns):
                for turn in order:
                    turn.take()
                order.reverse()
        finally:
            for turn in turns:
                turn.abandon()
    for turn in turns:
        if turn.error is not None and not isinstance(turn.error, _AbandonedError):
            raise turn.error
    return [turn.laps for turn in turns]


@final
class _AbandonedError(Exception):
    """The other arm failed."""


@final
class _Turn(Callback):
    """Lets its generation do one step whenever it is told to, and times that."""

    def __init__(self, device: torch.device) -> None:
        self.laps: list[tuple[float, float]] = []
        self.finished = False
        self.error: BaseException | None = None
        self._abandoned = False
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._clock = Clock(device)

    def take(self) -> None:
        """Let it do one step, and wait for that."""
        if not self.finished:
            self._go.release()
            self._done.acquire()

    def abandon(self) -> None:
        """Let it end where it is."""
        self._abandoned = True
        self._go.release()

    def finish(self) -> None:
        """It has ended."""
        self.finished = True
        self._done.release()

    def wait(self) -> None:
        """Sleep until it is this one's turn."""
        self._go.acquire()
        if self._abandoned:
            raise _AbandonedError
        self._clock.start()

    @override
    def on_step(self, record: StepRecord) -> None:
        self.laps.append(self._clock.lap())
        self._done.release()
        self.wait()


def steps_of(laps: Sequence[tuple[float, float]]) -> Times:
    """The laps that are whole steps: without the first, which holds the prefill, and the last, without a forward."""
    times = Times()
    for lap in laps[1:-1]:
        times.add(lap)
    return times
