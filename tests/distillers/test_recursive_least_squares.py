from __future__ import annotations

import pytest
import torch

from esamp.distillers import RecursiveLeastSquaresDistiller

D = 24


def ridge_solution(distiller, shallow, deep, weight, forgetting, ridge):
    """The minimiser over all steps at once, float64; steps are the first axis."""
    phi = distiller._phi(shallow).double()
    size = phi.shape[-1]
    steps = len(shallow)
    gram = forgetting**steps * ridge * torch.eye(size, dtype=torch.float64)
    moment = torch.zeros(size, D, dtype=torch.float64)
    for step in range(steps):
        share = forgetting ** (steps - 1 - step)
        rows = phi[step][weight[step] > 0]
        gram += share * rows.T @ rows
        moment += share * rows.T @ deep[step][weight[step] > 0].double()
    return torch.linalg.solve(gram, moment)


@pytest.mark.parametrize("forgetting", [1.0, 0.97])
@pytest.mark.parametrize(("steps", "rows"), [(60, 5), (3, 300)])  # 300: in parts
def test_equals_the_ridge_solution_over_all_steps(forgetting, steps, rows):
    generator = torch.Generator().manual_seed(0)
    distiller = RecursiveLeastSquaresDistiller(features=16, ridge=2.0, forgetting=forgetting)
    distiller.setup(D, 1)
    shallow = torch.randn(steps, rows, D, generator=generator)
    deep = torch.randn(steps, rows, D, generator=generator)
    weight = (torch.rand(steps, rows, generator=generator) > 0.3).float()
    weight[:, 0] = 1
    for step in range(steps):
        living = weight[step, :, None]
        distiller.learn((shallow[step] * living)[None], (deep[step] * living)[None], weight[step][None])
    wanted = ridge_solution(distiller, shallow, deep, weight, forgetting, ridge=2.0)
    torch.testing.assert_close(distiller._map[0].double(), wanted, atol=2e-5, rtol=1e-4)


def test_stays_exact_and_positive_over_a_long_run_of_nearly_collinear_rows():
    # The textbook form P - K φ P loses its symmetry here in float32.
    generator = torch.Generator().manual_seed(1)
    distiller = RecursiveLeastSquaresDistiller(features=16, ridge=1e-3)
    distiller.setup(D, 1)
    base = torch.randn(1, 1, D, generator=generator)
    shallow = base + 1e-2 * torch.randn(2000, 4, D, generator=generator)
    deep = torch.randn(1, 1, D, generator=generator).expand(2000, 4, D)
    for step in range(2000):
        loss = distiller.learn(shallow[step][None], deep[step][None], torch.ones(1, 4))
    root = distiller._root[0].double()
    covariance = root @ root.T
    assert torch.linalg.eigvalsh(covariance).min() > -1e-9
    assert loss.item() < 1e-4 * deep.square().mean().item()


def test_predicts_zero_before_it_has_learnt_and_fits_at_once():
    distiller = RecursiveLeastSquaresDistiller(features=32, ridge=1e-4)
    distiller.setup(D, 1)
    shallow, deep = torch.randn(1, 3, D), torch.randn(1, 3, D)
    assert not distiller(shallow).any()
    distiller.learn(shallow, deep, torch.ones(1, 3))
    torch.testing.assert_close(distiller(shallow), deep, atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"forgetting": -0.1}, "forgetting"), ({"forgetting": 1.1}, "forgetting"), ({"ridge": 0.0}, "ridge")],
)
def test_bad_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=name):
        RecursiveLeastSquaresDistiller(**arguments)
