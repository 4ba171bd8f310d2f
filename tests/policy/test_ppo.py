"""PPO against its formula for one architecture at a time, and the normalised advantages."""

import pytest
import torch
from scipy.stats import rankdata

from lightning_nas.policy.ppo import normalise, ppo_loss, rank_values
from lightning_nas.policy.reinforce import reinforce_loss


def naive_loss(log_prob, old, advantage, clip):
    ratio = (log_prob - old).exp()
    if advantage > 0:
        return -(ratio if ratio < 1 + clip else torch.tensor(1 + clip)) * advantage
    return -(ratio if ratio > 1 - clip else torch.tensor(1 - clip)) * advantage


def test_loss_and_gradient_equal_the_formula():
    torch.manual_seed(0)
    old_N, advantage_N = torch.randn(40).double(), torch.randn(40).double()
    log_prob_N = (old_N + 0.3 * torch.randn(40).double()).requires_grad_()
    expected_log_prob_N = log_prob_N.detach().clone().requires_grad_()
    loss = ppo_loss(log_prob_N, old_N, advantage_N, clip=0.2)
    rows = zip(expected_log_prob_N, old_N, advantage_N, strict=True)
    expected = sum(naive_loss(*row, clip=0.2) for row in rows) / 40
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(log_prob_N.grad, expected_log_prob_N.grad)
    assert (log_prob_N.grad == 0).any()  # some ratios were clipped


def test_gradient_of_the_first_step_equals_reinforce():
    torch.manual_seed(0)
    old_N, advantage_N = torch.randn(8), torch.randn(8)
    log_probs = [old_N.clone().requires_grad_() for _ in range(2)]
    ppo_loss(log_probs[0], old_N, advantage_N, clip=0.2).backward()
    reinforce_loss(log_probs[1], advantage_N).backward()
    torch.testing.assert_close(log_probs[0].grad, log_probs[1].grad)


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_gradient_is_zero_beyond_the_clipping_range(advantage):
    log_prob_N = torch.tensor([0.5 * advantage], requires_grad=True)
    ppo_loss(log_prob_N, torch.zeros(1), torch.tensor([advantage]), clip=0.2).backward()
    assert log_prob_N.grad.item() == 0


def test_normalise_removes_scale_and_baseline():
    torch.manual_seed(0)
    reward_N = torch.rand(10)
    advantage_N = normalise(reward_N)
    torch.testing.assert_close(advantage_N.mean(), torch.tensor(0.0))
    torch.testing.assert_close(advantage_N.square().mean(), torch.tensor(1.0), rtol=0, atol=1e-3)
    torch.testing.assert_close(normalise(0.1 * reward_N - 3), advantage_N, rtol=0, atol=1e-2)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_normalise_maps_equal_rewards_to_zero(n):
    assert normalise(torch.full((n,), 0.9146)).abs().max() < 0.01


def test_rank_values_equal_centred_ranks_of_scipy():
    advantages = [0.3, -2.0, 0.31, 0.3, 5.0, 0.3]
    expected = [(2 * rank - 7) / 6 for rank in rankdata(advantages)]
    assert rank_values(torch.tensor(advantages)).tolist() == pytest.approx(expected)
