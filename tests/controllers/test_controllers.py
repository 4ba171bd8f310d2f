"""Controllers: samples, scores, numbers of the papers, the protocol."""

import math
from functools import partial

import pytest
import torch

from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.errors import InputError
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace

SPACES = [
    CellSpace(blocks=3),
    MacroSpace(layers=5),
    ChainSpace(layers=4, strides=(1, 2, 3)),
    EdgeCellSpace(),
]
NAS = partial(LSTMController, hidden=35, layers=2, bias=True, skips="sigmoid", tanh_constant=None)
NASNET = partial(LSTMController, hidden=100, bias=True, picks="softmax", tanh_constant=None)


def count_parameters(controller):
    return sum(parameter.numel() for parameter in controller.parameters())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("make", [LSTMController, NAS, NASNET, UniformController])
def test_samples_in_turn_are_those_of_single_calls(space, make):
    torch.manual_seed(0)
    controller = make(space)
    torch.manual_seed(1)
    one_by_one = [controller.sample(1).tokens_NT[0].tolist() for _ in range(5)]
    torch.manual_seed(1)
    assert controller.sample_in_turn(5).tokens_NT.tolist() == one_by_one


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("make", [LSTMController, NAS, NASNET, UniformController])
def test_score_of_a_sample_equals_its_log_probability(space, make):
    torch.manual_seed(0)
    controller = make(space)
    sampled = controller.sample(7)
    for tokens in sampled.tokens_NT.tolist():
        space.validate(tokens)
    scored = controller.score(sampled.tokens_NT)
    torch.testing.assert_close(scored.log_prob_NT, sampled.log_prob_NT)
    torch.testing.assert_close(scored.entropy_NT, sampled.entropy_NT)
    torch.testing.assert_close(scored.skip_kl_N, sampled.skip_kl_N)


TINY = [
    CellSpace(blocks=1, operations=["identity", "avg_pool_3x3"]),
    MacroSpace(layers=3, operations=["conv_3x3", "conv_5x5"]),
    ChainSpace(layers=3, kernels=[1], filters=[2, 4]),
]


@pytest.mark.parametrize("make", [LSTMController, NAS, NASNET])
@pytest.mark.parametrize("space", TINY)
def test_probabilities_of_all_architectures_sum_to_one(space, make):
    torch.manual_seed(1)
    controller = make(space, hidden=8, init_range=1.0)
    options = list(space.count_token_options())
    every = torch.cartesian_prod(*(torch.arange(n) for n in options))
    total = controller.score(every).log_prob_N.exp().sum()
    torch.testing.assert_close(total, torch.ones(()), rtol=1e-4, atol=1e-4)


def test_released_macro_controller_has_the_known_number_of_parameters():
    assert count_parameters(LSTMController(MacroSpace(layers=12), hidden=64)) == 41_856


def test_skip_of_nas_has_the_probability_of_the_paper():
    """Compute P = sigmoid(v tanh(W_prev h_j + W_curr h_i)) from the states of the anchors."""
    torch.manual_seed(0)
    space = ChainSpace(layers=2, kernels=[3], filters=[8])
    controller = LSTMController(space, hidden=6, skips="sigmoid", tanh_constant=None, init_range=1)
    states = []
    controller.lstm[0].register_forward_hook(lambda _, inputs, out: states.append(out[0]))
    rollout = controller.score(torch.tensor([[0, 0, 0, 0, 0, 0, 1]]))
    anchor, present = states[3], states[7]  # height, width, filters, anchor; twice
    parts = controller.attention
    hidden = torch.tanh(anchor @ parts.key.weight.T + present @ parts.query.weight.T)
    probability = torch.sigmoid(hidden @ parts.value.weight.T).squeeze()
    torch.testing.assert_close(rollout.log_prob_NT[0, -1].exp(), probability)


def test_picks_of_nasnet_are_softmaxes_over_all_states():
    controller = NASNET(CellSpace(blocks=3), init_range=0.0)
    probability = controller.sample(1).log_prob_NT.exp()[0]
    expected = [1 / n for n in (2, 2, 5, 5, 3, 3, 5, 5, 4, 4, 5, 5)]
    torch.testing.assert_close(probability, torch.tensor(2 * expected))
    assert controller.attention is None


def test_lstm_has_the_given_layers_and_biases():
    lstm = NAS(ChainSpace(layers=2)).lstm
    assert [tuple(p.shape) for p in lstm.parameters()] == 2 * [(140, 35), (140, 35), (140,), (140,)]


@pytest.mark.parametrize("setting", [{"picks": "best"}, {"skips": "none"}, {"layers": 0}])
def test_errors_name_the_bad_setting(setting):
    (name,) = setting
    with pytest.raises(InputError, match=f"controller.{name}"):
        LSTMController(CellSpace(blocks=1), **setting)


def test_biases_give_the_operation_prior_of_the_released_micro_controller():
    controller = LSTMController(
        CellSpace(blocks=2),
        tanh_constant=1.1,
        choice_tanh_reduce=2.5,
        choice_bias=[10, 10, 0, 0, 0],
        first_cell_bias=[0.25, 0.25, -0.25, -0.25, -0.25],
        init_range=0.0,
    )
    tokens = torch.zeros(1, 16, dtype=torch.int64)
    probability = controller.score(tokens).log_prob_NT.exp()[0]
    assert probability[2].item() == pytest.approx(0.315, abs=1e-3)  # normal cell
    assert probability[10].item() == pytest.approx(0.254, abs=1e-3)  # reduction cell


def test_skip_divergence_is_zero_at_its_target():
    space = MacroSpace(layers=4)
    controller = LSTMController(space, skip_target=0.5, init_range=0.0)
    rollout = controller.sample(3)
    torch.testing.assert_close(rollout.skip_kl_N, torch.zeros(3))
    divergence = LSTMController(space, skip_target=0.4, init_range=0.0).sample(3).skip_kl_N
    exact = 2 * (0.5 * math.log(0.5 / 0.4) + 0.5 * math.log(0.5 / 0.6))  # 2 on average
    torch.testing.assert_close(divergence, torch.full((3,), exact))


def test_released_macro_controller_measures_the_entropy_of_the_sampled_token():
    torch.manual_seed(0)
    space = MacroSpace(layers=4)
    exact = LSTMController(space, init_range=1.0)
    released = LSTMController(space, init_range=1.0, released=True)
    released.load_state_dict(exact.state_dict())
    tokens = exact.sample(5).tokens_NT
    rollout, exact_rollout = released.score(tokens), exact.score(tokens)
    torch.testing.assert_close(rollout.log_prob_NT, exact_rollout.log_prob_NT)
    log_prob = exact_rollout.log_prob_NT
    torch.testing.assert_close(rollout.entropy_NT, -log_prob.exp() * log_prob)
    assert not torch.allclose(rollout.entropy_NT, exact_rollout.entropy_NT)


@pytest.mark.parametrize(("released", "best"), [(False, 0.4), (True, 0.308)])
def test_skip_divergence_has_its_minimum_at_the_target(released, best):
    space = MacroSpace(layers=2)
    controller = LSTMController(space, tanh_constant=None, released=released)
    optimizer = torch.optim.Adam(controller.parameters(), lr=0.02)
    tokens = torch.tensor([[0, 0, 1]])  # two operations and the one skip, taken
    for _ in range(300):
        optimizer.zero_grad()
        controller.score(tokens).skip_kl_N.sum().backward()
        optimizer.step()
    probability = controller.score(tokens).log_prob_NT[0, 2].exp().item()
    assert probability == pytest.approx(best, abs=2e-3)


def test_tanh_constant_bounds_the_logits():
    space = MacroSpace(layers=2)
    controller = LSTMController(space, tanh_constant=1.5, init_range=50.0)
    probability = controller.sample(50).log_prob_NT.exp()[:, 0]
    least = math.exp(-1.5) / (math.exp(-1.5) + 5 * math.exp(1.5))
    assert probability.min() >= least - 1e-6


@pytest.mark.parametrize("name", ["choice_bias", "first_cell_bias"])
def test_bias_of_the_wrong_length_is_refused(name):
    with pytest.raises(InputError, match=f"{name} has 2 numbers, but operation has 5 options"):
        LSTMController(CellSpace(blocks=1), **{name: [1, 2]})


def test_uniform_controller_samples_all_options_equally_often():
    torch.manual_seed(0)
    tokens = UniformController(MacroSpace(layers=2)).sample(6000).tokens_NT
    shares = torch.bincount(tokens[:, 0], minlength=6) / 6000
    torch.testing.assert_close(shares, torch.full((6,), 1 / 6), atol=0.02, rtol=0)


@pytest.mark.parametrize("make", [NAS, UniformController])
def test_a_space_with_more_layers_is_sampled_and_scored(make):
    torch.manual_seed(0)
    controller, deeper = make(ChainSpace(layers=2)), ChainSpace(layers=4)
    sample = controller.sample(5, deeper)
    for tokens in sample.tokens_NT.tolist():
        deeper.validate(tokens)
    score = controller.score(sample.tokens_NT, deeper)
    torch.testing.assert_close(score.log_prob_NT, sample.log_prob_NT)
    torch.testing.assert_close(score.entropy_NT, sample.entropy_NT)


@pytest.mark.parametrize("make", [LSTMController, UniformController])
def test_samples_of_a_generator_leave_the_global_random_state_unchanged(make):
    controller = make(CellSpace(blocks=3))
    state = torch.get_rng_state()
    first, second, other = (
        controller.sample(4, generator=torch.Generator().manual_seed(seed)).tokens_NT
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("make", [LSTMController, UniformController])
def test_without_a_generator_the_global_seed_fixes_the_sample(make):
    controller = make(CellSpace(blocks=3))
    torch.manual_seed(3)
    with_global_seed = controller.sample(4).tokens_NT
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(controller.sample(4, generator=generator).tokens_NT, with_global_seed)
