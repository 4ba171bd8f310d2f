"""The clipped objective against its formula, written out for one architecture at a time."""

import pytest
import torch
from scipy.stats import rankdata

from lightning_nas.policy.ppo import normalise, ppo_loss, rank_values
from lightning_nas.policy.reinforce import reinforce_loss


def naive(log_prob, old, advantage, clip):
    ratio = (log_prob - old).exp()
    if advantage > 0:
        return -(ratio if ratio < 1 + clip else torch.tensor(1 + clip)) * advantage
    return -(ratio if ratio > 1 - clip else torch.tensor(1 - clip)) * advantage


def test_loss_and_gradient_are_the_naive_ones():
    torch.manual_seed(0)
    old_N, advantage_N = torch.randn(40).double(), torch.randn(40).double()
    ours_N = (old_N + 0.3 * torch.randn(40).double()).requires_grad_()
    theirs_N = ours_N.detach().clone().requires_grad_()
    ours = ppo_loss(ours_N, old_N, advantage_N, clip=0.2)
    rows = zip(theirs_N, old_N, advantage_N, strict=True)
    theirs = sum(naive(*row, clip=0.2) for row in rows) / 40
    torch.testing.assert_close(ours, theirs)
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(ours_N.grad, theirs_N.grad)
    assert (ours_N.grad == 0).any()  # some ratios were clipped


def test_the_first_step_is_that_of_reinforce():
    torch.manual_seed(0)
    old_N, advantage_N = torch.randn(8), torch.randn(8)
    log_probs = [old_N.clone().requires_grad_() for _ in range(2)]
    ppo_loss(log_probs[0], old_N, advantage_N, clip=0.2).backward()
    reinforce_loss(log_probs[1], advantage_N).backward()
    torch.testing.assert_close(log_probs[0].grad, log_probs[1].grad)


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_no_gradient_once_the_policy_has_moved_far_enough(advantage):
    log_prob_N = torch.tensor([0.5 * advantage], requires_grad=True)
    ppo_loss(log_prob_N, torch.zeros(1), torch.tensor([advantage]), clip=0.2).backward()
    assert log_prob_N.grad.item() == 0


def test_normalised_advantages_do_not_depend_on_scale_or_baseline():
    torch.manual_seed(0)
    reward_N = torch.rand(10)
    advantage_N = normalise(reward_N)
    torch.testing.assert_close(advantage_N.mean(), torch.tensor(0.0))
    torch.testing.assert_close(advantage_N.square().mean(), torch.tensor(1.0), rtol=0, atol=1e-3)
    torch.testing.assert_close(normalise(0.1 * reward_N - 3), advantage_N, rtol=0, atol=1e-2)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_equal_rewards_have_no_advantage(n):
    assert normalise(torch.full((n,), 0.9146)).abs().max() < 0.01


def test_ranks_are_those_of_scipy_centred():
    advantages = [0.3, -2.0, 0.31, 0.3, 5.0, 0.3]
    expected = [(2 * rank - 7) / 6 for rank in rankdata(advantages)]
    assert rank_values(torch.tensor(advantages)).tolist() == pytest.approx(expected)
