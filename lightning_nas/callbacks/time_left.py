"""How far a training or a search is, and how long it will take, as lines of the log."""

import logging
import math
import sys
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar

from lightning_nas.callbacks.trials_progress import TrialsProgress
from lightning_nas.search.base import Search
from lightning_nas.search.estimate import format_duration
from lightning_nas.search.trial_search import TrialSearch
from lightning_nas.storage.trial import Trial

log = logging.getLogger(__name__)


class TimeLeft(Callback):
    """Callback that logs how far a training or a search is, and the time that is left.

    The first process logs a line after the first epoch, unless that is the last one. More lines
    follow in the course of the run, unless a progress bar is visible on a terminal. A search by
    trials has only these: it counts architectures instead of epochs. The time of a search excludes
    the final choice.

    Args:
        seconds: Minimum time between two lines in seconds, at least 0.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        super().__init__()
        self.seconds = seconds
        self._start = self._last_line = 0.0  # monotonic time
        self._begun = 0  # epochs or architectures from before a resume

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and watch the trials of a search by trials."""
        self._start = self._last_line = time.monotonic()
        self._begun = trainer.current_epoch
        if not isinstance(pl_module, TrialSearch):
            return
        stream, watch = pl_module.stream, pl_module.watch
        assert stream is not None
        self._begun, total = stream.ended, pl_module.sampling.samples

        def note(trial: Trial) -> None:
            watch(trial)
            self._log_if_due(trainer, pl_module, "architecture", stream.ended, total)

        pl_module.watch = note

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Log a line if it is time for one: an epoch may take hours."""
        share = (batch_idx + 1) / trainer.num_training_batches
        self._log_epoch_if_due(trainer, pl_module, trainer.current_epoch + share)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the duration of the first epoch; its validation has ended."""
        epoch = trainer.current_epoch + 1
        self._log_epoch_if_due(trainer, pl_module, epoch, is_first=epoch == self._begun + 1)

    def _log_epoch_if_due(
        self, trainer: Trainer, module: LightningModule, done: float, is_first: bool = False
    ) -> None:
        last = trainer.max_epochs
        if last is not None and last > 0 and not isinstance(module, TrialSearch):
            self._log_if_due(trainer, module, "epoch", done, last, is_first)

    def _log_if_due(
        self,
        trainer: Trainer,
        module: LightningModule,
        unit: str,
        done: float,
        total: int,
        is_first: bool = False,
    ) -> None:
        """Log a line after the first epoch, or if the last line was logged long enough ago.

        Args:
            trainer: The Trainer.
            module: The search, or the module of a training.
            unit: What is counted.
            done: Number of units that are done, with the share of the current one.
            total: Number of all units.
            is_first: Whether the first epoch has just ended.
        """
        now = time.monotonic()
        is_time = now - self._last_line >= self.seconds and not _has_visible_bar(trainer)
        if not trainer.is_global_zero or done >= total or not (is_first or is_time):
            return
        self._last_line, spent = now, now - self._start
        took = f" took {_format(spent)}" if is_first else ""
        left = format_duration(spent / (done - self._begun) * (total - done))
        end = " before the final choice" if isinstance(module, Search) else ""
        log.info("%s %d of %d%s; about %s left%s", unit, math.ceil(done), total, took, left, end)


def _has_visible_bar(trainer: Trainer) -> bool:
    streams = {ProgressBar: sys.stdout, TrialsProgress: sys.stderr}  # where each bar is drawn
    return any(
        isinstance(callback, bar) and stream.isatty()
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        for bar, stream in streams.items()
    )


def _format(seconds: float) -> str:
    return f"{seconds:.1f} seconds" if seconds < 10 else format_duration(seconds)
