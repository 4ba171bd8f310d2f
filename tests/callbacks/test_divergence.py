"""A training whose loss is not finite ends after the epoch, with a line that says why."""

from functools import partial

import pytest
import torch

from lightning_nas.callbacks.divergence import StopAtDivergence
from lightning_nas.data.synthetic import Synthetic
from lightning_nas.errors import InputError
from lightning_nas.modules.child import ChildModule
from tests.small import CONSTANT, trainer


def fit(folder, lr):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8 * 8 * 3, 2))
    module = ChildModule(network, 2, partial(torch.optim.SGD, lr=lr), CONSTANT)
    data = Synthetic(images=40, num_classes=2, batch_size=8, validation=0.25)
    own = trainer(folder, 3, [StopAtDivergence()])
    own.fit(module, datamodule=data)
    return own


@pytest.mark.parametrize("lr", [float("inf"), float("nan"), 1e38])
def test_a_loss_that_is_not_finite_ends_the_training(lr, tmp_path):
    with pytest.raises(InputError, match=r"loss was (nan|inf) in epoch 0: start a new run with a"):
        fit(tmp_path, lr)


def test_a_training_that_learns_goes_on(tmp_path):
    assert fit(tmp_path, 0.01).current_epoch == 3
