"""On a GPU: the kernels compute what the references do, and a graph can replay a whole step (`make gpu`)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from esamp.distillers import LowRankDistiller, MLPDistiller
from esamp.distillers.fused import FusedDistiller
from esamp.kernels.candidate_filter import min_p_candidates
from esamp.kernels.candidate_filter import reference as candidate_filter
from esamp.kernels.candidate_head import candidate_draw
from esamp.kernels.candidate_head import reference as head
from esamp.kernels.grouped_mlp import grouped_mlp, grouped_normalised_block, reference
from esamp.kernels.grouped_mlp_update.reference import step
from esamp.kernels.layout import Grid
from esamp.noise import gumbel_argmax

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

_SHAPES = [(41, 576, 7, 4), (5, 1271, 40, 3), (1, 48, 16, 1), (0, 64, 16, 2), (128, 1024, 384, 8)]


def _gaussian(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to("cuda", dtype)


@pytest.mark.parametrize(
    ("dtype", "atol", "rtol"), [(torch.float32, 1e-4, 1e-4), (torch.float16, 8e-3, 2e-3), (torch.bfloat16, 4e-2, 2e-2)]
)
@pytest.mark.parametrize(("rows", "d", "inner", "slots"), _SHAPES)
def test_predictions(rows: int, d: int, inner: int, slots: int, dtype: torch.dtype, atol: float, rtol: float) -> None:
    x, slot = _gaussian(rows, d, dtype=dtype), torch.arange(rows, device="cuda") % (slots + 1) - 1
    gate_up = [_gaussian(slots, d, 2 * inner, seed=s, dtype=dtype) * d**-0.5 for s in (1, 2)]
    down = [_gaussian(slots, inner, d, seed=s, dtype=dtype) * inner**-0.5 for s in (3, 4)]
    scale, bias = _gaussian(slots, d, seed=5, dtype=dtype), _gaussian(slots, d, seed=6, dtype=dtype)
    grid = Grid(slot, slots, max(rows, 1))
    wide = grid.scatter(x).double()
    wanted = grid.gather(reference.gated_blocks(wide, [w.double() for w in gate_up], [w.double() for w in down]))
    got = grouped_mlp(x, slot, max(rows, 1), gate_up, down)
    torch.testing.assert_close(got.double(), wanted, atol=atol, rtol=rtol)
    one = (gate_up[0], down[0], scale, bias)
    wanted = grid.gather(reference.normalised_block(wide, *(value.double() for value in one)))
    got = grouped_normalised_block(x, slot, max(rows, 1), *one)
    torch.testing.assert_close(got.double(), wanted, atol=atol, rtol=rtol)


def test_candidates_and_draws() -> None:
    logits, heat = 4 * _gaussian(16, 50_000), torch.linspace(0.5, 1.5, 16, device="cuda").unsqueeze(1)
    ids, z, mask, count, _ = min_p_candidates(logits, heat, 0.05, 256)
    wanted = candidate_filter.min_p_candidates(logits, heat, 0.05, 256)
    assert torch.equal(count, wanted[3])
    assert torch.equal(ids, wanted[0])
    hidden, weight = _gaussian(16, 576, seed=1), _gaussian(50_000, 576, seed=2, dtype=torch.bfloat16) * 0.04
    beta, sample = torch.full((16,), 0.25, device="cuda"), torch.arange(16, device="cuda")
    mixed, place, _ = candidate_draw(hidden, weight, ids, mask, z, beta, 2**40, sample, sample, temperature=heat)
    distilled = head.logits(hidden, weight, ids, mask)
    torch.testing.assert_close(mixed, head.mix(distilled, mask, z, beta, None, heat), atol=1e-4, rtol=1e-4)
    # The same noise as on the CPU draws the same candidates from the same distribution.
    log_probs = mixed.masked_fill(~mask, -torch.inf).log_softmax(dim=-1)
    there = (value.cpu() for value in (log_probs, ids))
    assert torch.equal(place.cpu(), gumbel_argmax(*there, 2**40, sample.cpu(), sample.cpu()))


@pytest.mark.parametrize("lanes", [16, 70])
@pytest.mark.parametrize(
    "make", [lambda: MLPDistiller(lr=1e-2), lambda: LowRankDistiller(lr=1e-2, eps=1e-4)], ids=["mlp", "low_rank"]
)
def test_distillers_learn_as_without_kernels(
    make: Callable[[], FusedDistiller], lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    for kernels in ("triton", "reference"):
        monkeypatch.setenv("ESAMP_KERNELS", kernels)
        distiller = make()
        distiller.setup(576, 3, "cuda")
        weight = (torch.arange(lanes, device="cuda") < torch.tensor([[lanes], [2], [0]], device="cuda")).float()
        for seed in range(3):
            shallow, deep = _gaussian(3, lanes, 576, seed=seed), _gaussian(3, lanes, 576, seed=9 + seed)
            with torch.no_grad():
                predicted = distiller(shallow)
            losses = distiller.learn(shallow, deep * weight.unsqueeze(-1), weight)
        said.append((predicted, losses))
    for got, wanted in zip(*said, strict=True):
        torch.testing.assert_close(got, wanted, atol=2e-3, rtol=2e-3)


def test_a_graph_replays_whole_steps() -> None:
    from esamp.kernels.trial import Sizes, Trial

    trial = Trial(Sizes(d=512, inner=96, slots=4, lanes=16, vocabulary=5000, unused=3), "cuda")

    def whole() -> torch.Tensor:
        activations, _ = trial.predict_and_fuse()
        return trial.learn(activations)

    grid = Grid(trial.slot, 4, 16)
    gate_up, down = ([w.double() for w in ws] for ws in (trial.gate_up, trial.down))
    moments = [[w.double() for w in ws] for ws in (trial.first, trial.second)]
    lesson = [grid.scatter(value).double() for value in (trial.shallow, trial.deep, trial.alive)]
    count = torch.zeros(4, device="cuda", dtype=torch.float64)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        whole()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = whole()
    for _ in range(4):
        graph.replay()
    for _ in range(5):
        wanted = step(*lesson, gate_up, down, *moments, count, trial.state.settings.double())
    torch.cuda.synchronize()
    assert trial.state.count.tolist() == [5.0] * 4
    torch.testing.assert_close(loss.double(), wanted, atol=1e-4, rtol=1e-3)
    for got, exact in zip([*trial.gate_up, *trial.down], [*gate_up, *down], strict=True):
        torch.testing.assert_close(got.double(), exact, atol=1e-4, rtol=1e-3)
