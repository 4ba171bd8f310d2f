"""End of a training whose loss is not finite: it would go on for hours and learn nothing."""

import math

from pytorch_lightning import Callback, LightningModule, Trainer

from lightning_nas.errors import InputError

LOSSES = ("train/loss", "val/loss")  # means over an epoch


class StopAtDivergence(Callback):
    """Callback that ends a training after an epoch in which a loss was infinite or NaN.

    The epoch gets no checkpoint: the last checkpoint is that of the last epoch with finite losses.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop all processes if the loss of one of them is not finite.

        Raises:
            InputError: If a loss is not finite.
        """
        metrics = trainer.callback_metrics
        losses = {name: float(metrics[name]) for name in LOSSES if name in metrics}
        bad = {name: loss for name, loss in losses.items() if not math.isfinite(loss)}
        if trainer.strategy.reduce_boolean_decision(bool(bad), all=False):
            name, loss = next(iter(bad.items()), ("the loss", "not finite in another process"))
            raise InputError(
                f"the training diverged: {name} was {loss} in epoch {trainer.current_epoch}; start "
                "a new run with a lower module.optimizer.lr"
            )
