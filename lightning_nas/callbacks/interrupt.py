"""Ctrl-C and SIGTERM: finish the step, then stop all processes at the same step."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from lightning_nas.errors import DEAD_WORKER, DeadWorkerError
from lightning_nas.search.base import Search

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGREE_EVERY = 10  # steps between two exchanges of signals; an exchange waits for the device


class Interrupted(BaseException):
    """Exception for a stop request from the user or the system.

    The base class is BaseException, because Hydra's multirun would catch an Exception and start the
    next job.

    Args:
        signum: Number of the signal.

    Attributes:
        exit_code: Exit code of the command.
        run: Run folder, shown in the message.
    """

    run = "RUN"

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class StopAtStep(Callback):
    """Callback that raises ``Interrupted`` at the end of the step in which a signal arrives.

    The callback handles SIGINT and SIGTERM. A second signal ends the process at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received = 0
        self._previous_handlers: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Install the signal handlers."""
        self._previous_handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
        self._install_handlers()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let a search poll for signals within a step, because a step may take hours."""
        if isinstance(pl_module, Search):
            pl_module.poll = lambda: self.stop_if_asked(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace Lightning's SIGTERM handler, which makes the processes wait for one another."""
        self._install_handlers()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restore the signal handlers."""
        for signum, handler in self._previous_handlers.items():
            signal.signal(signum, handler)

    def _install_handlers(self) -> None:
        for signum in SIGNALS:
            signal.signal(signum, self._receive)
        if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
            # SLURM sends SIGTERM and SIGUSR2 at preemption; submitit requeues the job at SIGUSR2
            signal.signal(signal.SIGTERM, _ignore_signal)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self.received = signum
        signal.signal(signum, signal.SIG_DFL)
        if sys.platform != "win32":  # torch's SIGCHLD handler may raise anywhere, even at exit
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if a signal has arrived."""
        if trainer.world_size == 1 or batch_idx % AGREE_EVERY == 0:
            self.stop_if_asked(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Stop a single process if a signal has arrived; several may be at different batches."""
        if trainer.world_size == 1:
            self.stop_if_asked(trainer)

    def on_test_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Stop a single process if a signal has arrived."""
        self.on_validation_batch_end(trainer)

    def stop_if_asked(self, trainer: Trainer) -> None:
        """Raise an exception if a signal has arrived; all processes must call at the same step.

        Raises:
            Interrupted: If this process or another process has received a signal.
        """
        signum = self.received
        if trainer.world_size > 1:
            own = torch.tensor(signum, device=trainer.strategy.root_device)
            signum = int(trainer.strategy.reduce(own, reduce_op="max"))
        if signum:
            raise Interrupted(signum)


def _ignore_signal(signum: int, frame: FrameType | None) -> None:
    """Do nothing, instead of SIG_IGN, which child processes would inherit."""


@contextmanager
def interruptible(trainer: Trainer) -> Iterator[None]:
    """Explain the death of worker processes of a data loader.

    Raises:
        Interrupted: Instead of torch's error about dead workers, if a signal has arrived.
        DeadWorkerError: Instead of torch's error, if no signal has arrived.
    """
    try:
        yield
    except RuntimeError as error:
        stops = [call for call in trainer.callbacks if isinstance(call, StopAtStep)]  # type: ignore[attr-defined]
        received = max((stop.received for stop in stops), default=0)
        if DEAD_WORKER not in str(error):
            raise
        if received:
            raise Interrupted(received) from error
        raise DeadWorkerError from error
