"""How long a training will take, said after its first epoch."""

import logging
import time

from pytorch_lightning import Callback, LightningModule, Trainer

from lightning_nas.search.estimate import format_duration

log = logging.getLogger(__name__)


class TimeLeft(Callback):
    """Callback that logs the duration of the first epoch and the time that is left.

    A resume logs them after its own first epoch. A training of one epoch logs nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._start: float | None = None  # monotonic time; None after the first epoch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the start of the first epoch."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the time after the first epoch; its validation has ended."""
        if self._start is None:
            return
        seconds, self._start = time.monotonic() - self._start, None
        done, last = trainer.current_epoch + 1, trainer.max_epochs
        if trainer.is_global_zero and last is not None and done < last:
            left = format_duration(seconds * (last - done))
            log.info("epoch %d of %d took %s; about %s left", done, last, _format(seconds), left)


def _format(seconds: float) -> str:
    return f"{seconds:.1f} seconds" if seconds < 10 else format_duration(seconds)
