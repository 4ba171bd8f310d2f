"""Callback that stops a training whose loss is not finite."""

import math

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from lightning_nas.errors import InputError


class StopAtNonFiniteLoss(Callback):
    """Stop a training at the end of an epoch with a mean loss that is infinite or not a number.

    The weights are lost by then: without this callback, the training would end with the accuracy of
    chance and the status "complete".
    """

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the losses of the epoch: one large step is seen in the validation loss alone.

        Raises:
            InputError: If a loss is not finite.
        """
        for name, metric in {"training": "train/loss", "validation": "val/loss"}.items():
            loss = float(trainer.callback_metrics.get(metric, 0.0))
            if not math.isfinite(loss):
                raise InputError(
                    f"the {name} loss was {loss} in epoch {trainer.current_epoch}: the training "
                    "diverged; choose a lower module.optimizer.lr"
                )
