"""A training that diverges ends with an error, not with the accuracy of chance."""

from functools import partial

import pytest
import torch
from torch import nn

from lightning_nas.callbacks.divergence import StopAtDivergence
from lightning_nas.errors import InputError, as_user_error
from lightning_nas.modules.child import ChildModule
from tests.small import CONSTANT, synthetic, trainer


def fit(tmp_path, rate: float, epochs: int = 2, network: nn.Module | None = None, **sizes) -> None:
    network = network or nn.Sequential(
        nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 4)
    )
    module = ChildModule(network, 4, partial(torch.optim.SGD, lr=rate), CONSTANT)
    data = synthetic(64, **sizes)
    trainer(tmp_path, epochs, [StopAtDivergence()]).fit(module, datamodule=data)


@pytest.mark.parametrize("rate", [1e20, 1e30])
def test_a_loss_that_is_not_finite_ends_the_training(tmp_path, rate):
    with pytest.raises(InputError, match=r"loss was (nan|inf) in epoch \d; start a new run"):
        fit(tmp_path, rate, epochs=3)


def test_one_step_that_is_too_large_is_seen_in_the_validation_loss(tmp_path):
    with pytest.raises(InputError, match=r"val/loss was (nan|inf) in epoch 0"):
        fit(tmp_path, 1e38, epochs=1, batch_size=64)


def test_a_training_with_finite_losses_goes_on(tmp_path):
    fit(tmp_path, 0.01)


def test_a_batch_of_one_image_on_a_1x1_map_is_an_error_of_the_user(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 4))
    with pytest.raises(ValueError, match="Expected more than 1 value") as caught:
        fit(tmp_path, 0.01, network=network, batch_size=1)
    assert "must be at least 2" in str(as_user_error(caught.value))
