"""After its first epoch a training says how long it will take."""

import logging
import re

import pytest
import pytorch_lightning as pl
import torch

from lightning_nas.callbacks.time_left import TimeLeft


class Line(pl.LightningModule):
    """A module with one weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, batch_idx):
        return (self.weight - batch).square().sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize(("epochs", "lines"), [(1, 0), (4, 1)])
def test_the_time_left_is_logged_once_unless_the_first_epoch_is_the_last(epochs, lines, caplog):
    settings = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    callback = TimeLeft()
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", callbacks=[callback], **settings
    )  # fmt: skip
    with caplog.at_level(logging.INFO, "lightning_nas"):
        trainer.fit(Line(), torch.utils.data.DataLoader(torch.ones(3)))
    said = [one.getMessage() for one in caplog.records if "left" in one.getMessage()]
    assert len(said) == lines
    pattern = r"epoch 1 of 4 took 0\.\d seconds; about [01] seconds left"
    assert all(re.fullmatch(pattern, one) for one in said)
