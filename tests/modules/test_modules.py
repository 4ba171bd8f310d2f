"""The pair of ENAS, each alone, its optimiser, and the networks' published sizes."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.modules import optimizers as optimizers_module
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.networks.shared_macro import SharedMacroNetwork
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.spaces.macro import MacroSpace
from tests.small import CONSTANT, synthetic, trainer


def test_the_controller_alone_finds_the_best_arm(tmp_path):
    pl.seed_everything(0, verbose=False)
    space = MacroSpace(layers=2)

    def reward(architectures):
        best = [
            a.layers[0].operation == "sep_conv_5x5" and not a.layers[1].skips for a in architectures
        ]
        return torch.tensor(best).float()

    module = ControllerModule(
        LSTMController(space, hidden=16, tanh_constant=4.0),
        MovingAverageBaseline(0.9),
        partial(torch.optim.Adam, lr=0.02),
        samples=16,
        reward=reward,
    )
    trainer(tmp_path, 1).fit(module, DataLoader(range(150)))
    assert reward(module.sample(200)[1]).mean() > 0.8  # 1 in 12 by chance


def test_shared_weights_alone_learn_under_uniform_sampling(tmp_path):
    pl.seed_everything(0, verbose=False)
    data = synthetic(images=256, batch_size=32)
    space = MacroSpace(layers=3)
    network = SharedMacroNetwork(num_classes=4, image_size=8, layers=3, filters=8)
    module = SupernetModule(network, space, partial(SharedSGD, lr=0.05), CONSTANT)
    architectures = [space.decode(t) for t in module.uniform.sample(8).tokens_NT.tolist()]
    batches = list(data.val_dataloader())
    before = torch.stack(list(module.rank(batches, architectures))).mean()
    trainer(tmp_path, 12).fit(module, data.train_dataloader())
    after = torch.stack(list(module.rank(batches, architectures))).mean()
    assert after > max(0.6, before + 0.2)


@pytest.mark.parametrize("nesterov", [True, False])
def test_shared_sgd_is_torchs_sgd(nesterov):
    torch.manual_seed(0)
    ours = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 2, 1)).double()
    ours.to(memory_format=torch.channels_last)
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 2, 1)).double()
    theirs.load_state_dict(ours.state_dict())
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": nesterov}
    optimizers = [SharedSGD(ours.parameters(), **settings),
                  torch.optim.SGD(theirs.parameters(), **settings)]  # fmt: skip
    for _ in range(4):
        x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
        for network, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            network(x).square().mean().backward()
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_clipping_clips():
    weight = torch.nn.Parameter(torch.zeros(4))
    optimizer = SharedSGD([weight], lr=1.0, momentum=0.0, nesterov=False, clip_norm=5.0)
    weight.grad = torch.full((4,), 100.0)
    optimizer.step()
    assert weight.norm().item() == pytest.approx(5.0, rel=1e-4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(bad):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = SharedSGD([weight], lr=0.1, weight_decay=0.1, clip_norm=5.0)
    weight.grad = torch.ones(3)
    optimizer.step()
    before = weight.detach().clone()
    momentum = optimizer.state[weight]["momentum_buffer"].clone()
    for _ in range(2):
        weight.grad = torch.tensor([1.0, bad, 1.0])
        optimizer.step()
    assert torch.equal(weight, before)
    assert torch.equal(optimizer.state[weight]["momentum_buffer"], momentum)
    assert optimizer.counters["skipped"] == 2
    assert optimizer.counters["longest_row"] == 2


def test_sparse_updates_leave_unused_weights_alone():
    used, unused = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    for sparse in (False, True):
        optimizer = SharedSGD([used, unused], lr=0.1, weight_decay=0.5, sparse_updates=sparse)
        before = unused.detach().clone()
        used.grad, unused.grad = torch.ones(2), None
        optimizer.step()
        assert torch.equal(unused, before) == sparse


def test_shared_sgd_sees_all_gradients_and_removes_them():
    first, second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = SharedSGD([first, second], lr=1.0, momentum=0.0, nesterov=False)
    first.sum().backward()
    (2 * first + 4 * second).sum().backward()  # the gradients of two calls add up
    optimizer.step()
    assert (first.tolist(), second.tolist()) == ([-2.0, -2.0], [-3.0, -3.0])
    optimizer.zero_grad()
    assert (first.grad, second.grad) == (None, None)
    optimizer.step()
    assert (first.tolist(), second.tolist()) == ([-2.0, -2.0], [-3.0, -3.0])
    second.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert second.grad.tolist() == [0.0, 0.0]
    second.grad = torch.ones(2)  # not by backward
    optimizer.step()
    assert second.tolist() == [-4.0, -4.0]


@pytest.mark.parametrize("sparse", [False, True])
def test_aligned_weights_learn_the_same_and_their_checkpoints_fit_every_device(sparse, monkeypatch):
    networks, optimizers = [], []
    for unit in (1, 32):
        monkeypatch.setattr(optimizers_module, "_find_unit", lambda first, unit=unit: unit)
        torch.manual_seed(0)
        networks.append(torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.Conv2d(5, 2, 1)))
        settings = {"lr": 0.1, "weight_decay": 0.01, "clip_norm": 0.5, "sparse_updates": sparse}
        optimizers.append(SharedSGD(networks[-1].parameters(), **settings))
    assert all(start % 32 == 0 for start in optimizers[1].starts)
    take_steps(networks, optimizers)
    states = [optimizer.state_dict() for optimizer in optimizers]
    momentum = [state["state"][0]["momentum_buffer"] for state in states]
    assert len(momentum[0]) == sum(p.numel() for p in networks[0].parameters())
    torch.testing.assert_close(*momentum)
    for optimizer, state in zip(optimizers, reversed(states), strict=True):
        optimizer.load_state_dict(state)
    take_steps(networks, optimizers)


def take_steps(networks, optimizers):
    """Take three steps with each network and compare their weights."""
    for _ in range(3):
        x = torch.randn(2, 3, 5, 5)
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.zero_grad()
            network(x).square().mean().backward()
            optimizer.step()
    for a, b in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(a, b)


def test_the_controller_computes_in_full_precision_under_mixed_precision():
    space = MacroSpace(layers=4)
    controller = LSTMController(space, hidden=16)
    module = ControllerModule(controller, MovingAverageBaseline(0.9), torch.optim.Adam, samples=8)
    with torch.autocast("cpu", torch.bfloat16):
        rollout, _ = module.sample(8)
        scored = module.score(rollout.tokens_NT.tolist())
    expected = controller.score(rollout.tokens_NT)
    for one in (rollout, scored):
        torch.testing.assert_close(one.log_prob_NT, expected.log_prob_NT)
        assert one.log_prob_NT.dtype == torch.float32


def test_sparse_updates_are_those_of_torch_for_the_used_weights():
    used, unused, alone = (torch.nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(3))
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.5, "nesterov": True}
    pair = (
        SharedSGD([used, unused], **settings, sparse_updates=True),
        torch.optim.SGD([alone], **settings),
    )
    for _ in range(3):
        used.grad, alone.grad = (torch.tensor([0.5, -3.0]) for _ in range(2))
        for optimizer in pair:
            optimizer.step()
    torch.testing.assert_close(used, alone)
    assert unused.tolist() == [1.0, 2.0]


def test_a_baseline_may_start_at_a_whole_number():
    baseline = MovingAverageBaseline(decay=0.5, initial=0)
    baseline.update(torch.tensor([0.5]))
    assert baseline.average == 0.25


def test_the_baseline_scores_a_batch_before_taking_it_in():
    baseline = MovingAverageBaseline(decay=0.9, initial=0.0)
    torch.testing.assert_close(baseline(torch.tensor([1.0, 1.0])), torch.tensor([1.0, 1.0]))
    torch.testing.assert_close(baseline.average, torch.tensor(1 - 0.9**2))
