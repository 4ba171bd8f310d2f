"""Baselines of rewards."""

import pytest
import torch

from lightning_nas.errors import InputError
from lightning_nas.policy.baseline import LeaveOneOutBaseline


def test_leaving_one_out_compares_each_reward_with_the_mean_of_the_others():
    reward_N = torch.tensor([0.1, 0.5, 0.3, 0.7])
    advantage_N = LeaveOneOutBaseline()(reward_N)
    for place, reward in enumerate(reward_N):
        others = torch.cat([reward_N[:place], reward_N[place + 1 :]])
        torch.testing.assert_close(advantage_N[place], reward - others.mean())


def test_its_average_is_that_of_the_last_step():
    baseline = LeaveOneOutBaseline()
    baseline(torch.tensor([0.0, 0.2]))
    baseline(torch.tensor([0.5, 1.0]))
    assert baseline.average == 0.75


def test_one_reward_has_no_others():
    with pytest.raises(InputError, match=r"method\.controller\.samples of at least 2"):
        LeaveOneOutBaseline()(torch.tensor([0.5]))
