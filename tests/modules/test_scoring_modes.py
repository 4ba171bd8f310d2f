"""The same weights under each kind of batch norm statistics, whatever they were trained with."""

import pytest
import torch
from torch import nn

from lightning_nas.layers.operations import OPERATIONS
from lightning_nas.layers.shared import SharedBatchNorm
from lightning_nas.modules.scoring_modes import (
    MODES,
    build_in_mode,
    gather_statistics,
    tracks_statistics,
)
from tests.small import enas


def build(kind):
    return lambda mode: enas(kind, batch_norm=mode).supernet


def images(n=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.randint(4, (n,), generator=generator)


def architectures(supernet, n, seed=0):
    torch.manual_seed(seed)
    tokens = supernet.uniform.sample(n).tokens_NT.tolist()
    return [supernet.space.decode(given) for given in tokens]


@pytest.mark.parametrize("kind", ["macro", "cell"])
@pytest.mark.parametrize("trained", MODES)
@pytest.mark.parametrize("mode", MODES)
def test_weights_of_any_mode_take_any_mode(kind, trained, mode):
    state = build(kind)(trained).network.state_dict()
    assert tracks_statistics(state) == (trained == "running")
    supernet = build_in_mode(mode, build(kind), state)
    assert supernet.statistics.mode == mode
    parameters = dict(supernet.network.named_parameters())
    assert all(torch.equal(value, state[name]) for name, value in parameters.items())


@pytest.mark.parametrize("kind", ["macro", "cell"])
def test_batch_statistics_are_those_of_the_batch_though_others_were_tracked(kind):
    trained = build(kind)("running")
    supernet = build_in_mode("batch", build(kind), trained.network.state_dict())
    (one,) = architectures(supernet, 1)
    x, _ = images()
    for network in (trained.network, supernet.network):
        network.eval()
    for norm in trained.network.modules():  # in training they use the batch's own
        norm.train(isinstance(norm, SharedBatchNorm))
    torch.testing.assert_close(supernet.network(x, one), trained.network(x, one))


def test_gathered_statistics_are_the_plain_average_over_batches():
    supernet = build("macro")("running")
    (one,) = architectures(supernet, 1)
    batches = [images(seed=seed) for seed in range(5)]
    inputs = []
    stem = next(m for m in supernet.network.modules() if isinstance(m, SharedBatchNorm))
    stem.register_forward_pre_hook(lambda module, x: inputs.append(x[0].clone()))
    before = {n: p.clone() for n, p in supernet.network.named_parameters()}
    gather_statistics(supernet, [(*batch, one) for batch in batches])
    mean = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in inputs]).mean(0)
    torch.testing.assert_close(stem.running_mean, mean)
    torch.testing.assert_close(stem.running_var, variance)
    assert all(torch.equal(p, before[n]) for n, p in supernet.network.named_parameters())


@pytest.mark.parametrize("kind", ["macro", "cell"])
def test_statistics_gathered_on_one_architecture_alone_score_as_recalibrated_ones(kind):
    """With one batch of one architecture, both are that architecture's own statistics."""
    state = build(kind)("batch").network.state_dict()
    running, recalibrated = (
        build_in_mode(m, build(kind), state) for m in ("running", "recalibrated")
    )
    (one,) = architectures(running, 1)
    x, labels = images(n=512, seed=1)
    gather_statistics(running, [(x, labels, one)])
    recalibrated.calibration = x
    new = images(n=256, seed=2)
    scores = [float(next(s.rank([new], [one]))) for s in (running, recalibrated)]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)  # n and n - 1 in the variance


def noisy_conv(channels_in, channels_out, stride, norm):
    """Return an operation of another package whose result depends on its mode."""
    layers = nn.Conv2d(channels_in, channels_out, 1, stride), nn.BatchNorm2d(channels_out)
    return nn.Sequential(*layers, nn.Dropout(0.5))


@pytest.mark.parametrize("kind", ["macro", "cell"])
@pytest.mark.parametrize("mode", MODES)
def test_scores_are_those_of_evaluation_to_the_last_digit(kind, mode, monkeypatch):
    rules = "macro" if kind == "macro" else "enas"
    for name in ("sep_conv_3x3", "max_pool_3x3", "avg_pool_3x3"):
        monkeypatch.setitem(OPERATIONS[rules], name, noisy_conv)
    supernet = build(kind)(mode)
    network = supernet.network.train()
    before = [module.training for module in network.modules()]
    ones = architectures(supernet, 3)
    x, _ = images()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with supernet._scoring():
        scored = [network(x, one) for one in ones]
    assert [module.training for module in network.modules()] == before
    assert all(torch.equal(value, state[n]) for n, value in network.state_dict().items())
    network.eval()
    with torch.no_grad():
        assert all(torch.equal(a, network(x, one)) for a, one in zip(scored, ones, strict=True))
