"""A search as W&B shows it while it runs: the best so far, and what is sampled."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import WandbLogger

from lightning_nas.architecture import Architecture
from lightning_nas.callbacks.interrupt import Interrupted
from lightning_nas.errors import log_and_continue
from lightning_nas.methods.enas import ENAS
from lightning_nas.report.shares import count_shares
from lightning_nas.search.result import LISTED, decode_trials
from lightning_nas.search.trial_search import ARMS, TrialSearch
from lightning_nas.storage.trial import POLICY, Proposal, Trial, best_of

MISSING = "W&B misses a part of this search; the run folder has it"


class WandbLive(Callback):
    """Logs the shares of operations at every update, and a table of the best now and then.

    The table has the best of all trials; ENAS's rewards of different epochs are of different
    weights and of a few images each, so its table has the best of the last epoch's. Without a W&B
    logger, and on all processes but the first, it does nothing.

    Args:
        seconds: Between two tables; a search that is shorter has the one at its end alone.
    """

    def __init__(self, seconds: float = 600.0) -> None:
        super().__init__()
        self.seconds = seconds
        self._logger: WandbLogger | None = None
        self._names: set[str] = set()
        self._last: Sequence[Trial] = ()  # of ENAS
        self._seen = 0
        self._shown = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for the logger, and where in the journal the search begins."""
        found = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        self._logger = found[0] if found and trainer.is_global_zero else None
        self._seen = pl_module.scored if isinstance(pl_module, ENAS) else 0
        self._shown = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log a batch of trials."""
        if self._logger is not None and isinstance(pl_module, TrialSearch) and batch:
            with log_and_continue(MISSING):
                self._log(pl_module, batch, _batches(trainer))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log what ENAS sampled in the epoch before: it writes it down when all else has ended."""
        if self._logger is None or not isinstance(pl_module, ENAS) or pl_module.journal is None:
            return
        sampled = [
            trial
            for trial in pl_module.journal.ended(self._seen)
            if trial.number < pl_module.scored and trial.proposal.arm == POLICY
        ]
        self._seen = pl_module.scored
        if sampled:
            self._last = sampled
            with log_and_continue(MISSING):
                self._log(pl_module, sampled, _batches(trainer) - 1)  # as of the epoch's metrics

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the last epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Show what there is of a search that is interrupted."""
        if self._logger is not None and isinstance(exception, Interrupted):
            with log_and_continue(MISSING):
                self._show(pl_module)

    def _log(self, pl_module: LightningModule, sampled: Sequence[Trial], step: int) -> None:
        assert self._logger is not None
        found = count_shares(_decode(pl_module, trial.proposal) for trial in sampled)
        self._names |= found.keys()
        absent = dict.fromkeys(self._names, 0.0)
        self._logger.log_metrics({**absent, **found}, step)
        if time.monotonic() - self._shown >= self.seconds:
            self._show(pl_module)

    def _show(self, pl_module: LightningModule) -> None:
        from lightning_nas.callbacks.wandb_upload import log_ranked  # imports wandb

        if isinstance(pl_module, TrialSearch):
            assert pl_module.journal is not None
            best = pl_module.journal.best(ARMS, LISTED)
        else:
            best = best_of(self._last, LISTED)
        log_ranked(decode_trials(best, partial(_decode, pl_module)))
        self._shown = time.monotonic()


def _batches(trainer: Trainer) -> int:
    """Return the batches so far, the x of all other metrics; ``global_step`` counts optimisers'."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def _decode(search: LightningModule, proposal: Proposal) -> Architecture:
    if isinstance(search, TrialSearch):
        return search.architecture(proposal)
    assert isinstance(search, ENAS)
    return search.controller.space.decode(proposal.tokens)
