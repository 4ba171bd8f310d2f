"""Averaged weights: what the average is, and that it is what is kept, tested and gone on with."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from lightning_nas.callbacks.averaging import AverageWeights
from lightning_nas.callbacks.saving import RandomStates, SaveEpoch
from lightning_nas.modules.child import ChildModule
from tests.small import CONSTANT, synthetic, trainer

STEPS = 3  # in an epoch: 80 images less a fifth, less a quarter, in batches of 16


class Small(nn.Module):
    """A convolution, a batch norm with its statistics, and a classifier with dropout before it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(4, 4)

    def forward(self, images):
        """Return logits."""
        x = self.norm(self.conv(images.to(self.conv.weight.dtype))).relu()
        return self.classifier(self.dropout(x.mean(dim=(2, 3))))


class Watch(pl.Callback):
    """Notes the module's state after every step, and what it is when it is validated and tested."""

    def __init__(self):
        self.steps, self.validated, self.tested = [], [], []

    def on_train_batch_end(self, trainer, module, *others):
        self.steps.append(copied(module))

    def on_validation_batch_start(self, trainer, module, *others):
        self.validated.append(copied(module))

    def on_test_batch_start(self, trainer, module, *others):
        self.tested.append(copied(module))


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def module_of(seed=0, dtype=torch.float64, rate=0.3):
    pl.seed_everything(seed, verbose=False)
    optimizer = partial(torch.optim.SGD, lr=rate, momentum=0.9)
    return ChildModule(Small().to(dtype), 4, optimizer, CONSTANT)


def fitted(folder, module, epochs, *callbacks, checkpoint=None, **settings):
    """Fit, and return the Trainer; the average comes before what looks at it."""
    data = synthetic(images=80)
    call = [RandomStates(), *callbacks, SaveEpoch(folder)]
    fits = trainer(
        folder, epochs, call, enable_checkpointing=True, num_sanity_val_steps=0, **settings
    )
    fits.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return fits


def averaged(states, decay):
    """The average of the states after each step, one after the other."""
    average = dict(states[0])
    for number, state in enumerate(states[1:], start=1):  # steps that were taken before
        weight = min(decay, (1 + number) / (10 + number))
        for name, tensor in state.items():
            if tensor.is_floating_point():
                average[name] = weight * average[name] + (1 - weight) * tensor
            else:
                average[name] = tensor
    return average


def check_close(state, expected):
    assert state.keys() == expected.keys()
    for name, tensor in state.items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=1e-12, msg=name)


def saved(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9999])
def test_the_average_is_that_of_a_plain_loop_over_the_steps(decay, tmp_path):
    module, watch = module_of(), Watch()
    fitted(tmp_path, module, 4, AverageWeights(decay), watch)
    assert len(watch.steps) == 4 * STEPS
    expected = averaged(watch.steps, decay)
    assert expected["network.norm.running_mean"].dtype == torch.float64
    check_close(copied(module), expected)
    apart = (expected["network.conv.weight"] - watch.steps[-1]["network.conv.weight"]).abs().max()
    assert (apart > 1e-3) == (decay > 0)


def test_counts_are_those_of_the_last_step(tmp_path):
    module = module_of()
    fitted(tmp_path, module, 2, AverageWeights())
    count = module.network.norm.num_batches_tracked
    assert count.dtype == torch.int64
    assert count == 2 * STEPS


def test_the_first_steps_weigh_less_than_the_decay_says(tmp_path):
    decay, watch = 0.9999, Watch()
    module = module_of()
    fitted(tmp_path, module, 3, AverageWeights(decay), watch)
    first, last = watch.steps[0]["network.conv.weight"], watch.steps[-1]["network.conv.weight"]
    average = module.network.conv.weight
    assert (average - last).abs().max() < 0.5 * (average - first).abs().max()
    plain = first  # what the decay alone would make of it
    for state in watch.steps[1:]:
        plain = decay * plain + (1 - decay) * state["network.conv.weight"]
    assert (plain - first).abs().max() < 0.01 * (plain - last).abs().max()


def test_a_checkpoint_holds_the_average_as_its_weights(tmp_path):
    watch = Watch()
    fitted(tmp_path, module_of(), 2, AverageWeights(0.9), watch)
    checkpoint = saved(tmp_path)
    check_close(checkpoint["state_dict"], averaged(watch.steps, 0.9))
    check_close(checkpoint["current_model_state"], watch.steps[-1])


def test_every_validation_is_of_the_average(tmp_path):
    watch = Watch()
    fitted(tmp_path, module_of(), 3, AverageWeights(0.9), watch)
    batches = len(watch.validated) // 3
    assert batches > 0
    for epoch in range(1, 4):
        expected = averaged(watch.steps[: epoch * STEPS], 0.9)
        for state in watch.validated[(epoch - 1) * batches : epoch * batches]:
            check_close(state, expected)


@pytest.mark.parametrize("again", [False, True], ids=["same Trainer", "another Trainer"])
@pytest.mark.parametrize("path", [None, "last.ckpt"], ids=["in memory", "from the checkpoint"])
def test_what_is_tested_after_a_fit_is_the_average(again, path, tmp_path):
    module, watch = module_of(), Watch()
    tests = fitted(tmp_path, module, 2, AverageWeights(0.9), watch)
    expected = averaged(watch.steps, 0.9)
    if again:
        tests = trainer(tmp_path, 1, [AverageWeights(0.9), watch])
        if path is not None:
            module = module_of(seed=1)
    path = path and str(tmp_path / path)
    tests.test(module, synthetic(80), ckpt_path=path, verbose=False, weights_only=True)
    assert watch.tested
    for state in watch.tested:
        check_close(state, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("decay", [0.9, 0.9999])
def test_a_resumed_fit_is_an_unbroken_one_bit_for_bit(dtype, decay, tmp_path):
    unbroken = module_of(dtype=dtype)
    fitted(tmp_path / "unbroken", unbroken, 4, AverageWeights(decay))
    broken = tmp_path / "broken"
    fitted(broken, module_of(dtype=dtype), 2, AverageWeights(decay))
    resumed = module_of(seed=1, dtype=dtype)
    fitted(broken, resumed, 4, AverageWeights(decay), checkpoint=broken / "last.ckpt")
    a, b = saved(tmp_path / "unbroken"), saved(broken)
    for part in ("state_dict", "current_model_state", "averaging_state"):
        assert a[part].keys() == b[part].keys()
        assert [n for n in a[part] if not torch.equal(a[part][n], b[part][n])] == [], part
    assert a["callbacks"].keys() == b["callbacks"].keys()
    own, others = copied(unbroken), copied(resumed)
    assert [n for n in own if not torch.equal(own[n], others[n])] == []


def test_accumulated_batches_are_one_step(tmp_path):
    module, watch = module_of(), Watch()
    fitted(tmp_path, module, 3, AverageWeights(0.9), watch, accumulate_grad_batches=STEPS)
    check_close(copied(module), averaged(watch.steps[STEPS - 1 :: STEPS], 0.9))
