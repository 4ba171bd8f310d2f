"""Cost of a child, estimated from a few timed batches."""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from lightning_nas.evaluation.complexity import synchronised_time


@dataclass(frozen=True)
class ChildSteps:
    """Cost of a child, from a few timed batches.

    Args:
        parameters: Number of parameters of the network.
        multiply_adds: Multiply-adds for one image.
        train: Seconds per training batch.
        validation: Seconds per validation batch.
        batch_size: Images per batch.
        train_batches: Training batches per epoch.
        validation_batches: Validation batches per epoch.
        epochs: Epochs of a training.
        device: Device of the training.
    """

    parameters: int
    multiply_adds: int
    train: float
    validation: float
    batch_size: int
    train_batches: int
    validation_batches: int
    epochs: int
    device: torch.device

    @property
    def seconds(self) -> float:
        """Seconds of a whole training."""
        epoch = self.train * self.train_batches + self.validation * self.validation_batches
        return self.epochs * epoch

    @property
    def all_multiply_adds(self) -> int:
        """Multiply-adds of a whole training; a backward pass counts as two forward passes."""
        batches = 3 * self.train_batches + self.validation_batches
        return self.epochs * batches * self.batch_size * self.multiply_adds


class Stopwatch(Callback):
    """Callback that times the batches of the second epoch, from the first to the last."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, list[float]] = {"train": [], "validation": []}
        self.device = torch.device("cpu")

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Record the time."""
        self.device = trainer.strategy.root_device
        self._note("train", trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Record the time."""
        self._note("train", trainer)

    def on_validation_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Record the time."""
        self._note("validation", trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Record the time."""
        self._note("validation", trainer)

    def _note(self, phase: str, trainer: pl.Trainer) -> None:
        if trainer.current_epoch:
            self.times[phase].append(synchronised_time(self.device))

    def seconds(self, phase: str) -> float:
        """Return the seconds per batch."""
        times = self.times[phase]
        return (times[-1] - times[0]) / (len(times) / 2)
