from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor


@pytest.fixture(autouse=True)
def triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's kernels are chosen, and no output may owe anything to what its memory held before."""
    monkeypatch.setenv("ESAMP_KERNELS", "triton")
    for name in ("empty", "empty_like"):
        monkeypatch.setattr(torch, name, _poisoned(getattr(torch, name)))


def _poisoned(make: Any) -> Any:
    def empty(*shape: Any, **options: Any) -> Tensor:
        made = make(*shape, **options)
        if made.dtype == torch.bool:
            return made.fill_(True)
        return made.fill_(float("nan") if made.is_floating_point() else -7)

    return empty


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The interpreter computes with NumPy, which warns where float32's exp(-x) overflows on the way to a sigmoid of 0.
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning"))
