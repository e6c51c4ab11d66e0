"""On a GPU the host must not wait for the device in `apply` and `update_state`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from tests.vllm.driving import params
from tests.vllm.test_runner_v2 import RunnerV2

# Operations whose result, or whose shape, the host has to know.
_WAIT = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "unique_consecutive", "_unique2"}
_PYTHON = {"item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__", "__index__", "nonzero"}


class WaitingError(AssertionError):
    pass


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().partition("::")[2].partition(".")[0]
        if name in _WAIT:
            raise WaitingError(name)
        if name == "index" and any(i is not None and i.dtype is torch.bool for i in args[1]):
            raise WaitingError("index by a mask")
        if name == "bincount":
            raise WaitingError(name)
        return func(*args, **(kwargs or {}))


class _Function(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in _PYTHON:
            raise WaitingError(func.__name__)
        return func(*args, **(kwargs or {}))


@contextmanager
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """While entered, whatever would make the host wait for a GPU raises; tensors on the CPU count as on a GPU."""
    with monkeypatch.context() as patch, _Function(), _Dispatch():
        patch.setattr("esamp.functional.looking.free_to_look", lambda tensor: False)
        yield


@pytest.mark.parametrize(
    "look", [lambda t: t.item(), lambda t: t.tolist(), bool, lambda t: t.cpu(), lambda t: t.nonzero()]
)
def test_the_guard_sees_who_waits(monkeypatch: pytest.MonkeyPatch, look: Any) -> None:
    with pytest.raises(WaitingError), nobody_waits(monkeypatch):
        look(torch.ones(1))


def test_apply_does_not_wait(reference_model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without filters there is no exception. With filters the width of the candidate list is read, and nothing else.

    That number is the shape of all that follows, on every engine: see "Conventions" in CONTRIBUTING.md.
    """
    runner, prompt, text = RunnerV2(reference_model), [2, 10, 11, 12], list[int]()
    runner.add("only", prompt, text, params("group", esamp_seed=3))
    processor, made = runner.processor, runner.processor.apply

    def apply(logits: torch.Tensor, context: Any) -> torch.Tensor:
        with nobody_waits(monkeypatch):
            return made(logits, context)

    monkeypatch.setattr(processor, "apply", apply)
    for _ in range(4):
        text.append(runner.step({"only": prompt + text})["only"])


def test_with_filters_only_the_candidate_list_is_waited_for(
    reference_model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The logits of the candidates are excused here because on a GPU they are a kernel's, which reads nothing back.

    Where a GPU has no Triton, the reference counts the places of the list: one more wait.
    """
    from esamp import head
    from esamp.candidates import Filters

    runner, prompt, text = RunnerV2(reference_model), [2, 10, 11, 12], list[int]()
    runner.add("only", prompt, text, params("group", esamp_seed=3, esamp_min_p=0.05))
    made = runner.processor.apply

    def excused(function: Any) -> Any:
        def run(*arguments: Any) -> Any:
            with torch._C.DisableTorchFunction(), torch.utils._python_dispatch._disable_current_modes():
                return function(*arguments)

        return run

    def apply(logits: torch.Tensor, context: Any) -> torch.Tensor:
        with nobody_waits(monkeypatch):
            return made(logits, context)

    monkeypatch.setattr(Filters, "select", excused(Filters.select))
    monkeypatch.setattr(head, "candidate_logits", excused(head.candidate_logits))
    monkeypatch.setattr(runner.processor, "apply", apply)
    for _ in range(4):
        text.append(runner.step({"only": prompt + text})["only"])
