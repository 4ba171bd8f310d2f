"""REINFORCE on samples of the policy and of an older policy."""

import torch

from lightning_nas.policy.reinforce import importance_weights, reinforce_loss


def test_gradient_equals_the_formula():
    logits = torch.tensor([0.3, -0.2, 0.5], requires_grad=True)
    chosen, advantage_N = torch.tensor([0, 2, 2, 1]), torch.tensor([0.5, -0.25, 1.0, 0.0])
    reinforce_loss(logits.log_softmax(0)[chosen], advantage_N).backward()
    naive = torch.zeros(3)
    for token, advantage in zip(chosen.tolist(), advantage_N.tolist(), strict=True):
        one_hot = torch.eye(3)[token]
        naive -= advantage * (one_hot - logits.detach().softmax(0)) / 4
    torch.testing.assert_close(logits.grad, naive)


def test_fresh_samples_have_weight_one_without_gradient():
    log_prob_N = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    weight_N = importance_weights(log_prob_N, log_prob_N.detach())
    assert weight_N.tolist() == [1.0, 1.0, 1.0]
    assert not weight_N.requires_grad


def test_weights_correct_the_gradient_of_samples_from_an_older_policy():
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, -1.0], requires_grad=True)  # the present policy
    older = torch.tensor([1.2, 0.1, 0.6])  # weights: 1, 1 and below 1
    reward = torch.tensor([0.0, 0.2, 1.0])
    chosen = torch.multinomial(older.softmax(0), 200_000, replacement=True)

    def gradient(weight_N):
        log_prob_N = logits.log_softmax(0)[chosen]
        (grad,) = torch.autograd.grad(reinforce_loss(log_prob_N, reward[chosen] * weight_N), logits)
        return grad

    probabilities = logits.detach().softmax(0)
    exact = -(probabilities * (reward - (probabilities * reward).sum()))
    weight_N = importance_weights(logits.log_softmax(0)[chosen], older.log_softmax(0)[chosen])
    off = (gradient(weight_N) - exact).norm()
    assert off < 0.5 * (gradient(torch.ones(len(chosen))) - exact).norm()
