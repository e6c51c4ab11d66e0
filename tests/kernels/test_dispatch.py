"""Which implementation runs, who decides it, and what it costs to ask."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from esamp.kernels import uses_triton
from esamp.kernels.grouped_mlp import grouped_mlp


def test_the_cpu_runs_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESAMP_KERNELS", raising=False)
    assert not uses_triton(torch.zeros(1))


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESAMP_KERNELS", "reference")
    assert not uses_triton(torch.zeros(1))
    monkeypatch.setenv("ESAMP_KERNELS", "triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert uses_triton(torch.zeros(1))


def test_a_bad_choice_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESAMP_KERNELS", "trition")
    with pytest.raises(ValueError, match="ESAMP_KERNELS must be one of reference, triton, got 'trition'; did you mean"):
        uses_triton(torch.zeros(1))


def test_triton_on_a_cpu_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESAMP_KERNELS", "triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(RuntimeError, match="needs a GPU, got a tensor on the CPU; unset it, or set TRITON_INTERPRET=1"):
        uses_triton(torch.zeros(1))


def test_importing_the_parts_does_not_import_triton() -> None:
    code = (
        "import sys, torch; before = 'triton' in sys.modules; "
        "import esamp.kernels.grouped_mlp_update, esamp.kernels.candidate_head, esamp.kernels.candidate_filter; "
        "print(before, any(name.startswith('esamp') and name.endswith('.triton') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"


def test_the_reference_takes_rows_in_any_order() -> None:
    generator = torch.Generator().manual_seed(0)
    gate_up = [torch.randn(3, 8, 10, generator=generator)]
    down = [torch.randn(3, 5, 8, generator=generator)]
    x, slot = torch.randn(6, 8, generator=generator), torch.tensor([2, -1, 0, 2, 3, 0])
    got = grouped_mlp(x, slot, 2, gate_up, down)
    for row, owner in enumerate(slot.tolist()):
        if not 0 <= owner < 3:
            assert not got[row].any()
            continue
        gate, up = (x[row] @ gate_up[0][owner]).split(5)
        torch.testing.assert_close(got[row], x[row] + (torch.nn.functional.silu(gate) * up) @ down[0][owner])
