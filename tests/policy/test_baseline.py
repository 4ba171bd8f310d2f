"""Baselines of rewards."""

import pytest
import torch

from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.errors import InputError
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.policy.baseline import MovingAverageBaseline, leave_one_out
from lightning_nas.spaces.chain import ChainSpace


def test_leaving_one_out_compares_each_reward_with_the_mean_of_the_others():
    reward_N = torch.tensor([0.1, 0.5, 0.3, 0.7])
    advantage_N = leave_one_out(reward_N)
    for place, reward in enumerate(reward_N):
        others = torch.cat([reward_N[:place], reward_N[place + 1 :]])
        torch.testing.assert_close(advantage_N[place], reward - others.mean())


def test_one_reward_has_no_others():
    with pytest.raises(InputError, match=r"method\.controller\.samples of at least 2"):
        leave_one_out(torch.tensor([0.5]))


def test_a_controller_whose_rewards_are_equal_learns_nothing_from_a_step():
    torch.manual_seed(0)
    space = ChainSpace(layers=2)
    module = ControllerModule(
        LSTMController(space, hidden=8),
        MovingAverageBaseline(0.9, initial=0.0),
        torch.optim.Adam,
        entropy_weight=0.0,
        leave_one_out=True,
    )
    rollout, _ = module.sample(4)
    loss, metrics = module.loss(rollout, torch.full((4,), 0.7))
    loss.backward()
    assert all(torch.all(one.grad == 0) for one in module.controller.parameters())
    assert metrics["baseline"] > 0  # the moving average is only shown
