"""What a child would cost, from a few of its batches."""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from lightning_nas.evaluation.complexity import synchronised_time


@dataclass(frozen=True)
class ChildSteps:
    """What a child costs, from a few batches that were timed.

    Args:
        parameters: Of its network.
        multiply_adds: For one image.
        train: Seconds of a training batch.
        validation: Seconds of a validation batch.
        batch_size: Images of a batch.
        train_batches: In an epoch.
        validation_batches: In an epoch.
        epochs: Of a training.
        device: On which it trains.
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
        """Of a whole training; backward is taken for twice as many as forward."""
        batches = 3 * self.train_batches + self.validation_batches
        return self.epochs * batches * self.batch_size * self.multiply_adds


class Stopwatch(Callback):
    """Times the batches of the second epoch, as wall time between the first and the last."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, list[float]] = {"train": [], "validation": []}
        self.device = torch.device("cpu")

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Note the time."""
        self.device = trainer.strategy.root_device
        self._note("train", trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Note the time."""
        self._note("train", trainer)

    def on_validation_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Note the time."""
        self._note("validation", trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Note the time."""
        self._note("validation", trainer)

    def _note(self, phase: str, trainer: pl.Trainer) -> None:
        if trainer.current_epoch:
            self.times[phase].append(synchronised_time(self.device))

    def seconds(self, phase: str) -> float:
        """Return the seconds of a batch."""
        times = self.times[phase]
        return (times[-1] - times[0]) / (len(times) / 2)
