"""A whole ENAS on generated images, small enough for a test, and a Trainer that says nothing."""

from functools import partial

import pytorch_lightning as pl
import torch
from torch import nn

from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.data.synthetic import Synthetic
from lightning_nas.methods.enas import ENAS
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.networks.shared_cell import SharedCellNetwork
from lightning_nas.networks.shared_macro import SharedMacroNetwork
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.search.alternating import EpochSettings
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.macro import MacroSpace

CONSTANT = partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)


def synthetic(images, batch_size=16):
    """Images of four classes, ready; a fifth is for testing, a quarter of the rest held out."""
    data = Synthetic(images=images, num_classes=4, image_size=8, channels=3, noise=0.2,
                     batch_size=batch_size, validation=0.25)  # fmt: skip
    data.prepare_data()
    data.setup()
    return data


def enas(
    kind="macro",
    images=128,
    controller_steps=3,
    batch_norm="batch",
    supernet=SupernetModule,
    random_steps=None,
    epoch_seed=None,
    epoch=None,
    **more,
):
    """Return a small ENAS search; ``supernet`` is the class of the shared weights."""
    settings = {"num_classes": 4, "image_size": 8, "filters": 4, "batch_norm": batch_norm}
    if kind == "macro":
        space = MacroSpace(layers=3)
        network = SharedMacroNetwork(layers=3, **settings)
    else:
        space = CellSpace(blocks=2)
        network = SharedCellNetwork(cells=1, blocks=2, **settings)
    weights = supernet(network, space, partial(SharedSGD, lr=0.05, clip_norm=5.0), CONSTANT)
    controller = ControllerModule(
        LSTMController(space, hidden=8),
        MovingAverageBaseline(0.9),
        partial(torch.optim.Adam, lr=0.01),
        samples=2,
    )
    data = synthetic(images)
    epoch = EpochSettings(
        controller_steps,
        controller_batch=8,
        random_steps=random_steps,
        seed=epoch_seed,
        **(epoch or {}),
    )
    return ENAS(weights, controller, data, epoch, **more)


def trainer(folder, epochs, callbacks=(), **settings):
    """A Trainer on the CPU that writes nothing but what its callbacks do."""
    return pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"logger": False, "enable_checkpointing": False, **settings},
    )


def as_in_training(network):
    """Give a network batch norms that differ from those it begins with."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()
