"""The live view of a search in Weights & Biases: the best so far, and what the search samples."""

import time
from collections.abc import Sequence

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import WandbLogger

from lightning_nas.callbacks.interrupt import Interrupted
from lightning_nas.errors import log_and_continue
from lightning_nas.report.shares import count_shares
from lightning_nas.search.base import Search
from lightning_nas.search.result import LISTED, decode_trials
from lightning_nas.storage.trial import Trial

MISSING = "W&B lacks a part of this search; the run folder has it"


class WandbLive(Callback):
    """Callback that logs the shares of operations at each update, and at times a table of the best.

    It does nothing without a W&B logger, and in all processes except the first.

    Args:
        seconds: Minimum number of seconds between two tables. A shorter search has only the table
            at its end.
    """

    def __init__(self, seconds: float = 600.0) -> None:
        super().__init__()
        self.seconds = seconds
        self._logger: WandbLogger | None = None
        self._names: set[str] = set()
        self._last_table = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the W&B logger."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        self._logger = loggers[0] if loggers and trainer.is_global_zero else None
        self._last_table = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the trials of the epoch before: a search records them after all other callbacks."""
        if self._logger is None:
            return
        assert isinstance(pl_module, Search)
        trials = pl_module.take_new_trials()
        if trials:
            # global_step would count the optimisers' steps; all other metrics count batches, and
            # the metrics of the epoch before are logged at its last batch
            step = trainer.fit_loop.epoch_loop._batches_that_stepped - 1
            with log_and_continue(MISSING):
                self._log(pl_module, trials, step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the trials of the last epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Log the best so far if the search is interrupted."""
        if self._logger is not None and isinstance(exception, Interrupted):
            assert isinstance(pl_module, Search)
            with log_and_continue(MISSING):
                self._log_best(pl_module)

    def _log(self, search: Search, trials: Sequence[Trial], step: int) -> None:
        assert self._logger is not None
        shares = count_shares(search.decode(trial.proposal) for trial in trials)
        self._names |= shares.keys()
        absent = dict.fromkeys(self._names, 0.0)
        self._logger.log_metrics({**absent, **shares}, step)
        if time.monotonic() - self._last_table >= self.seconds:
            self._log_best(search)

    def _log_best(self, search: Search) -> None:
        from lightning_nas.callbacks.wandb_upload import log_ranked  # imports wandb

        log_ranked(decode_trials(search.list_best(LISTED), search.decode))
        self._last_table = time.monotonic()
