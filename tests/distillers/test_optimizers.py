from __future__ import annotations

import pytest
import torch

from esamp.distillers.optimizers import SGD, Adafactor, Adam

OPTIMIZERS = [Adam(lr=1e-2), SGD(lr=1e-2), SGD(lr=1e-2, momentum=0.0), Adafactor(lr=1e-2)]


def gradients(seed, groups=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(groups, 5, 4, generator=generator), torch.randn(groups, 4, generator=generator)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
def test_slots_are_independent_and_a_resting_slot_does_not_move(optimizer):
    bank, alone = gradients(0), [value[1:2].clone() for value in gradients(0)]
    rest = [value[2].clone() for value in bank]
    optimizer.setup(bank)
    for step in range(4):
        optimizer.step(bank, gradients(step + 1), torch.tensor([step != 2, True, False]))
    single = type(optimizer)(**{key: getattr(optimizer, key) for key in ("lr",)})
    if isinstance(optimizer, SGD):
        single = SGD(lr=optimizer.lr, momentum=optimizer.momentum)
    single.setup(alone)
    for step in range(4):
        single.step(alone, [value[1:2].clone() for value in gradients(step + 1)], torch.tensor([True]))
    for value, own, still in zip(bank, alone, rest, strict=True):
        torch.testing.assert_close(value[1:2], own)
        assert torch.equal(value[2], still)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
def test_a_slot_that_was_reset_steps_as_if_it_were_new(optimizer):
    bank, everyone = gradients(0), torch.tensor([True, True, True])
    optimizer.setup(bank)
    optimizer.step(bank, gradients(1), everyone)
    first = [value[1].clone() for value in bank]
    for step in range(2, 4):
        optimizer.step(bank, gradients(step), everyone)
    optimizer.reset(torch.tensor([False, True, False]))
    for value, new in zip(bank, gradients(0), strict=True):
        value[1] = new[1]
    optimizer.step(bank, gradients(1), everyone)
    for value, wanted in zip(bank, first, strict=True):
        torch.testing.assert_close(value[1], wanted)


def test_adam_takes_the_same_steps_where_the_host_must_not_look(monkeypatch):
    banks = {looks: gradients(0) for looks in (True, False)}
    counts = []
    for looks, bank in banks.items():
        monkeypatch.setattr("esamp.functional.looking.free_to_look", lambda tensor, looks=looks: looks)
        adam = Adam(lr=1e-2)
        adam.setup(bank)
        for step in range(4):
            adam.step(bank, gradients(step + 1), torch.tensor([step != 2, True, False]))
        counts.append(adam.count.tolist())
    assert counts == [[3, 4, 0], [3, 4, 0]]
    for seen, unseen, start in zip(*banks.values(), gradients(0), strict=True):
        torch.testing.assert_close(seen, unseen)
        assert torch.equal(seen[2], start[2])
        assert torch.equal(unseen[2], start[2])


def test_a_slot_steps_to_the_last_bit_whoever_else_does():
    bank, other = gradients(0), gradients(0)
    for values, active in ((bank, [True, True, True]), (other, [False, True, False])):
        adam = Adam(lr=1e-2)
        adam.setup(values)
        for step in range(3):
            adam.step(values, gradients(step + 1), torch.tensor(active))
    assert all(torch.equal(value[1], alone[1]) for value, alone in zip(bank, other, strict=True))


def test_sgd_with_momentum_equals_torchs():
    bank = gradients(0, groups=1)
    theirs = [torch.nn.Parameter(value.clone()) for value in bank]
    ours, reference = SGD(lr=0.1, momentum=0.8), torch.optim.SGD(theirs, lr=0.1, momentum=0.8)
    ours.setup(bank)
    for step in range(5):
        for parameter, gradient in zip(theirs, gradients(step + 1, groups=1), strict=True):
            parameter.grad = gradient
        reference.step()
        ours.step(bank, gradients(step + 1, groups=1), torch.tensor([True]))
    for value, parameter in zip(bank, theirs, strict=True):
        torch.testing.assert_close(value, parameter.detach())


def test_adafactor_equals_its_formula_in_the_first_step():
    # At t = 1 the decay is 0: the second moment is that of this gradient, factored.
    value = torch.zeros(1, 2, 2)
    optimizer = Adafactor(lr=0.1, threshold=100.0)
    optimizer.setup([value])
    gradient = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    optimizer.step([value], [gradient.clone()], torch.tensor([True]))
    row, column = gradient.square().mean(2), gradient.square().mean(1)
    moment = row.unsqueeze(2) * column.unsqueeze(1) / row.mean(1).view(1, 1, 1)
    torch.testing.assert_close(value, -0.1 * gradient / moment.sqrt())


def test_adafactor_keeps_less_than_a_tenth_of_adams_state():
    parameters = [torch.zeros(1, 64, 48)]
    sizes = []
    for optimizer in (Adam(), Adafactor()):
        optimizer.setup(parameters)
        sizes.append(sum(buffer.numel() for buffer in optimizer.buffers()))
    assert sizes[1] < sizes[0] / 10


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: SGD(momentum=1.0), "momentum"),
        (lambda: SGD(lr=-1.0), "lr"),
        (lambda: Adafactor(decay=0.0), "decay"),
        (lambda: Adam(eps=0.0), "eps"),
    ],
)
def test_bad_arguments_are_named(build, name):
    with pytest.raises(ValueError, match=name):
        build()
