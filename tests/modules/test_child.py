"""A network in training: what stays frozen, how fast each stage learns, and schedules."""

import math
import warnings
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn

from lightning_nas.architecture import ChainArchitecture, ChainLayer, EdgeCellArchitecture
from lightning_nas.callbacks.averaging import AverageWeights
from lightning_nas.data.synthetic import Synthetic
from lightning_nas.errors import InputError
from lightning_nas.modules.child import ChildModule
from lightning_nas.modules.schedules import cosine, steps
from lightning_nas.networks.build import build_network
from lightning_nas.published import load_architecture
from lightning_nas.spaces.macro import MacroSpace
from tests.small import CONSTANT, trainer

NETWORKS = {
    "cell": (load_architecture("enas_micro"), {"cells": 1, "filters": 4}),
    "cell for large images": (
        load_architecture("nasnet_a"),
        {"cells": 1, "filters": 8, "stem": "imagenet", "image_size": 32},
    ),
    "macro": (MacroSpace(layers=3).decode([0, 1, 1, 4, 1, 1]), {"filters": 4}),
    "chain": (
        ChainArchitecture(
            tuple(ChainLayer((3, 3), (1, 1), 4, (i - 1,) if i else ()) for i in range(4))
        ),
        {},
    ),
    "edge cell": (
        EdgeCellArchitecture(("conv_3x3", "identity", "conv_1x1", *["avg_pool_3x3"] * 3)),
        {"cells": 1, "filters": 4},
    ),
}
KINDS = pytest.mark.parametrize("kind", NETWORKS)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.01)


def network_of(kind, **more):
    architecture, settings = NETWORKS[kind]
    torch.manual_seed(0)
    return build_network(architecture, **({"num_classes": 4, "image_size": 8} | settings | more))


def images_for(kind):
    size = NETWORKS[kind][1].get("image_size", 8)
    return Synthetic(images=80, image_size=size, batch_size=16, validation=0.25)


def module_of(network, scheduler=CONSTANT, optimizer=SGD, **settings):
    return ChildModule(network, 4, optimizer, scheduler, **settings)


def tensors(stages):
    """All weights and statistics of some stages."""
    parts = [part for stage in stages for part in stage]
    return {(i, n): t for i, part in enumerate(parts) for n, t in part.state_dict().items()}


def copied(named):
    return {name: tensor.clone() for name, tensor in named.items()}


def changed(before, after):
    return [name for name in before if not torch.equal(before[name], after[name])]


# ---- frozen stages ------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("frozen", [1, 2, "all"])
@pytest.mark.parametrize("average", [False, True], ids=["plain", "averaged"])
def test_frozen_stages_do_not_change_and_all_others_do(kind, frozen, average, tmp_path):
    network = network_of(kind)
    frozen = len(network.stages) if frozen == "all" else frozen
    held, free = network.stages[:frozen], network.stages[frozen:]
    for part in (part for stage in held for part in stage):  # statistics that a batch would change
        for module in part.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.fill_(0.5)
    before, others = copied(tensors(held)), copied(tensors(free))
    heads = copied(network.classifier.state_dict())
    assert before
    pl.seed_everything(0, verbose=False)
    module = module_of(network, frozen_stages=frozen)
    callbacks = [AverageWeights(0.5)] if average else []
    trainer(tmp_path, 2, callbacks).fit(module, datamodule=images_for(kind))
    assert changed(before, tensors(held)) == []
    same = set(others) - set(changed(others, tensors(free)))
    assert same == set()
    assert len(changed(heads, network.classifier.state_dict())) == len(heads)


@KINDS
def test_without_frozen_stages_all_change(kind, tmp_path):
    network = network_of(kind)
    before = copied(network.state_dict())
    pl.seed_everything(0, verbose=False)
    trainer(tmp_path, 2).fit(module_of(network), datamodule=images_for(kind))
    assert changed(before, network.state_dict()) == list(before)


@KINDS
def test_frozen_stages_ask_for_no_gradients_and_stay_in_evaluation(kind):
    network = network_of(kind)
    module = module_of(network, frozen_stages=2)
    for _ in range(2):
        module.eval()
        module.train()
        modes = [{m.training for part in stage for m in part.modules()} for stage in network.stages]
        assert modes == [{False}] * 2 + [{True}] * (len(modes) - 2)
    asks = [{p.requires_grad for part in s for p in part.parameters()} for s in network.stages]
    assert asks == [{False}] * 2 + [{True}] * (len(asks) - 2)
    assert network.training
    assert {p.requires_grad for p in network.classifier.parameters()} == {True}


# ---- learning rates of stages -------------------------------------------------------------------


def groups_of(module):
    return module.configure_optimizers()["optimizer"].param_groups


@KINDS
@pytest.mark.parametrize("frozen", [0, 1, "all"])
@pytest.mark.parametrize("factor", [0.5, 0.7, 1.0])
def test_every_trained_parameter_is_in_one_group_at_the_rate_of_its_stage(kind, frozen, factor):
    network = network_of(kind)
    stages = network.stages
    frozen = len(stages) if frozen == "all" else frozen
    module = module_of(network, frozen_stages=frozen, stage_factor=factor)
    groups = groups_of(module)
    rates = [(id(p), group["lr"]) for group in groups for p in group["params"]]
    names = {id(p): name for name, p in module.named_parameters()}
    assert len(dict(rates)) == len(rates)
    assert {names[p] for p, _ in rates} == {
        n for n, p in module.named_parameters() if p.requires_grad
    }
    expected = {id(p): 0.1 for p in network.parameters()}
    for number, stage in enumerate(stages):
        for part in stage:
            for p in part.parameters():
                expected[id(p)] = 0.1 * factor ** (len(stages) - number)
    for parameter, rate in rates:
        assert rate == pytest.approx(expected[parameter]), names[parameter]
    assert len(groups) == (len(stages) - frozen + 1 if factor < 1 else 1)
    assert all(g["momentum"] == 0.9 and g["weight_decay"] == 0.01 for g in groups)


def test_the_auxiliary_head_learns_at_the_rate_of_the_heads():
    network = network_of("cell", auxiliary=True, image_size=32)
    rates = {
        id(p): g["lr"] for g in groups_of(module_of(network, stage_factor=0.5)) for p in g["params"]
    }
    assert {rates[id(p)] for p in network.auxiliary.parameters()} == {0.1}


def test_schedules_keep_the_shares_of_the_stages():
    network = network_of("cell")
    module = module_of(network, partial(cosine, epochs=6, warmup=2), stage_factor=0.5)
    configured = module.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]
    for epoch in range(6):
        rates = [group["lr"] for group in optimizer.param_groups]
        top = 0.1 * falling(epoch, 6, warmup=2)
        assert rates == pytest.approx([top * 0.5**k for k in range(len(rates) - 1, -1, -1)])
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("settings", "got"),
    [
        ({"frozen_stages": -1}, "got -1 and 1.0"),
        ({"frozen_stages": 5}, "got 5 and 1.0"),
        ({"stage_factor": 0}, "got 0 and 0"),
        ({"stage_factor": -0.5}, "got 0 and -0.5"),
        ({"stage_factor": 1.5}, "got 0 and 1.5"),
        ({"stage_factor": float("nan")}, "got 0 and nan"),
    ],
)
def test_stages_and_factors_out_of_range_are_refused(settings, got):
    network = network_of("cell")
    assert len(network.stages) == 4
    with pytest.raises(InputError, match=rf"module.frozen_stages must be 0 to 4.*{got}"):
        module_of(network, **settings)
    assert all(p.requires_grad for p in network.parameters())


# ---- weight decay -------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_weight_decay_can_leave_out_batch_norms_and_biases(kind, factor):
    """The released code of NASNet decays only the weights of convolutions and linear layers."""
    network = network_of(kind)
    decayed = {
        id(module.weight)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    groups = groups_of(module_of(network, stage_factor=factor, decay_norms_and_biases=False))
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert decay == {id(p): 0.01 if id(p) in decayed else 0.0 for p in network.parameters()}
    assert {0.0, 0.01} == set(decay.values())
    rates = [
        {id(p): group["lr"] for group in given for p in group["params"]}
        for given in (groups, groups_of(module_of(network, stage_factor=factor)))
    ]
    assert rates[0] == rates[1]
    assert sum(len(group["params"]) for group in groups) == len(decay)


def test_all_parameters_are_one_group_by_default_as_in_earlier_checkpoints():
    network = network_of("chain")
    (group,) = groups_of(module_of(network))
    assert group["weight_decay"] == 0.01
    assert list(map(id, group["params"])) == list(map(id, network.parameters()))


def test_sgd_updates_all_parameters_at_once_with_equal_results():
    networks = [network_of("cell"), network_of("cell")]
    nesterov = partial(SGD, nesterov=True)
    chosen, _ = (
        module_of(network, optimizer=nesterov).configure_optimizers()["optimizer"]
        for network in networks
    )
    single = nesterov(list(networks[1].parameters()), foreach=False)
    assert all(group["foreach"] for group in chosen.param_groups)
    for optimizer, network in zip((chosen, single), networks, strict=True):
        torch.manual_seed(0)
        for _ in range(3):
            for parameter in network.parameters():
                parameter.grad = torch.randn_like(parameter)
            optimizer.step()
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, other)
    own = module_of(network_of("chain"), optimizer=partial(SGD, foreach=False))
    assert groups_of(own)[0]["foreach"] is False


# ---- schedules ----------------------------------------------------------------------------------


class Rates(pl.Callback):
    """Callback that records the learning rate of each optimiser step."""

    def __init__(self):
        self.rates = []

    def on_before_optimizer_step(self, trainer, module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])


def fit_rates(folder, epochs, checkpoint=None, interval="step", accumulate=1):
    """Return the rates of a training of 3 epochs (4 batches each) that stops after ``epochs``."""
    rates = Rates()
    module = module_of(
        network_of("chain"), partial(cosine, epochs=3, lowest=0.01), schedule_interval=interval
    )
    fit = trainer(
        folder, epochs, [rates], enable_checkpointing=True, accumulate_grad_batches=accumulate
    )
    fit.fit(module, datamodule=images_for("chain"), ckpt_path=checkpoint, weights_only=True)
    fit.save_checkpoint(folder / "last.ckpt")
    return rates.rates


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_schedule_by_step_changes_the_rate_at_each_step_of_the_optimiser(accumulate, tmp_path):
    rates = fit_rates(tmp_path, 3, accumulate=accumulate)
    batches = len(images_by_batch())
    steps_per_epoch = math.ceil(batches / accumulate)
    total = 3 * steps_per_epoch
    expected = [0.01 + 0.09 * (1 + math.cos(math.pi * n / total)) / 2 for n in range(total)]
    assert rates == pytest.approx(expected, abs=1e-9)
    assert len(set(fit_rates(tmp_path, 3, interval="epoch"))) == 3


def images_by_batch():
    data = images_for("chain")
    data.prepare_data()
    data.setup()
    return data.train_dataloader()


def test_a_schedule_by_step_goes_on_where_it_stopped(tmp_path):
    whole = fit_rates(tmp_path, 3)
    first = fit_rates(tmp_path / "half", 1)
    rest = fit_rates(tmp_path / "half", 3, checkpoint=tmp_path / "half" / "last.ckpt")
    assert first + rest == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("make", [partial(cosine, warmup=2), partial(cosine, period=3), steps])
def test_a_schedule_by_step_equals_the_schedule_by_epoch_at_the_beginning_of_each_epoch(make):
    by_epoch = rates_of(partial(make, epochs=9), 9)
    by_step = rates_of(partial(make, epochs=9, steps_per_epoch=5), 45)
    assert by_step[::5] == pytest.approx(by_epoch, abs=1e-12)


def test_an_unknown_interval_is_refused():
    with pytest.raises(InputError, match=r"schedule_interval must be epoch or step, got batch"):
        module_of(network_of("chain"), schedule_interval="batch")


def rates_of(make, epochs, rate=0.1):
    """The rates of each epoch; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
        scheduler = make(optimizer)
        rates = []
        for _ in range(epochs):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return rates


def falling(epoch, epochs, lowest=0.0, warmup=0):
    """Share of the rate, less ``lowest``, in an epoch; as in the papers."""
    warmup = min(warmup, epochs - 1)
    if epoch < warmup:
        return (epoch + 1) / (warmup + 1)
    return (
        lowest + (1 - lowest) * (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup))) / 2
    )


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 60])
@pytest.mark.parametrize("warmup", [0, 1, 5])
@pytest.mark.parametrize("lowest", [0.0, 0.02])
def test_a_cosine_falls_after_its_warm_up(epochs, warmup, lowest):
    rates = rates_of(partial(cosine, epochs=epochs, lowest=lowest, warmup=warmup), epochs)
    expected = [0.1 * falling(e, epochs, lowest / 0.1, warmup) for e in range(epochs)]
    assert rates == pytest.approx(expected, abs=1e-12)
    assert max(rates) == pytest.approx(0.1)


@pytest.mark.parametrize(("period", "growth"), [(1, 1), (3, 1), (2, 2), (10, 2), (1, 3)])
@pytest.mark.parametrize("warmup", [0, 1, 4])
@pytest.mark.parametrize("lowest", [0.0, 0.001])
def test_a_cosine_may_begin_again(period, growth, warmup, lowest):
    epochs = 40
    rates = rates_of(
        partial(cosine, epochs=epochs, lowest=lowest, warmup=warmup, period=period, growth=growth),
        epochs,
    )
    expected = [0.1 * (epoch + 1) / (warmup + 1) for epoch in range(warmup)]
    while len(expected) < epochs:
        turn = range(period)
        expected += [
            lowest + (0.1 - lowest) * (1 + math.cos(math.pi * t / period)) / 2 for t in turn
        ]
        period *= growth
    assert rates == pytest.approx(expected[:epochs], abs=1e-12)


@pytest.mark.parametrize(
    "settings", [{}, {"warmup": 2}, {"period": 3, "growth": 2}, {"warmup": 2, "period": 3}]
)
@pytest.mark.parametrize("stopped", [1, 2, 3, 6])
def test_a_schedule_goes_on_where_it_stopped(settings, stopped):
    whole = rates_of(partial(cosine, epochs=9, **settings), 9)
    optimizers, schedulers = [], []
    for _ in range(2):
        optimizers.append(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1))
        schedulers.append(cosine(optimizers[-1], epochs=9, **settings))
    for _ in range(stopped):
        optimizers[0].step()
        schedulers[0].step()
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    schedulers[1].load_state_dict(schedulers[0].state_dict())
    rates = []
    for _ in range(stopped, 9):
        rates.append(optimizers[1].param_groups[0]["lr"])
        optimizers[1].step()
        schedulers[1].step()
    assert rates == pytest.approx(whole[stopped:], abs=1e-12)


@pytest.mark.parametrize("epochs", [1, 2, 10, 300])
@pytest.mark.parametrize("at", [(), (0.5,), (0.5, 0.75), (0.5, 0.5)])
@pytest.mark.parametrize("factor", [0.1, 0.5])
def test_steps_fall_at_shares_of_the_training(epochs, at, factor):
    rates = rates_of(partial(steps, epochs=epochs, at=at, factor=factor), epochs)
    expected = [
        0.1 * factor ** sum(epoch >= round(share * epochs) for share in at)
        for epoch in range(epochs)
    ]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"warmup": -1}, "warmup must be at least 0, got -1"),
        ({"period": 0}, "period and growth must be at least 1, got 0 and 1"),
        ({"period": 3, "growth": 0}, "period and growth must be at least 1, got 3 and 0"),
    ],
)
def test_schedules_out_of_range_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        rates_of(partial(cosine, epochs=9, **settings), 1)


def test_label_smoothing_applies_to_the_auxiliary_head_too():
    network = network_of("cell", auxiliary=True, image_size=32).train()
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        logits, auxiliary = network(images)
    module = module_of(network, label_smoothing=0.1, auxiliary_weight=0.4)
    module.log = lambda *args, **kwargs: None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss = module.training_step((images, labels), 0)
    smooth = [F.cross_entropy(x, labels, label_smoothing=0.1) for x in (logits, auxiliary)]
    torch.testing.assert_close(loss, smooth[0] + 0.4 * smooth[1])
