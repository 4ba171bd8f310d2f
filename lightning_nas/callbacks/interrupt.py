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

from lightning_nas.search.base import Search

SIGNALS = (signal.SIGINT, signal.SIGTERM)
WORKER = "DataLoader worker"  # beginning of torch's message when a worker has died
AGREE_EVERY = 10  # steps between two exchanges of signals, each of which waits for the device


class Interrupted(BaseException):
    """The user or the system asked to stop.

    Derives from BaseException: Hydra's multirun would catch an Exception and start the next job.

    Args:
        signum: Number of the signal.

    Attributes:
        exit_code: Exit code of the command.
        run: Run folder, for the message.
    """

    run = "RUN"

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class StopAtStep(Callback):
    """Callback that raises ``Interrupted`` at the end of the step in which a signal arrives.

    It handles SIGINT and SIGTERM. A second signal ends the process at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received = 0
        self._before: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Install the signal handlers."""
        self._before = {signum: signal.getsignal(signum) for signum in SIGNALS}
        self._listen()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let a search whose steps take hours poll for signals within a step."""
        if isinstance(pl_module, Search):
            pl_module.poll = lambda: self.stop_if_asked(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace Lightning's handler of SIGTERM: it makes the processes wait for one another."""
        self._listen()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restore the signal handlers."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _listen(self) -> None:
        for signum in SIGNALS:
            signal.signal(signum, self._receive)
        if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
            # SLURM sends a preempted job SIGTERM and SIGUSR2; submitit queues it again at SIGUSR2
            signal.signal(signal.SIGTERM, _ignore_signal)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self.received = signum
        signal.signal(signum, signal.SIG_DFL)
        if sys.platform != "win32":  # torch's handler may raise anywhere, even at exit
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if a signal has arrived."""
        if trainer.world_size == 1 or batch_idx % AGREE_EVERY == 0:
            self.stop_if_asked(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Stop if a signal has arrived, with one process: several may differ by one batch."""
        if trainer.world_size == 1:
            self.stop_if_asked(trainer)

    def on_test_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Stop if a signal has arrived, with one process."""
        self.on_validation_batch_end(trainer)

    def stop_if_asked(self, trainer: Trainer) -> None:
        """Raise an exception if a signal has arrived. All processes must call this together.

        Raises:
            Interrupted: If this process or another has received a signal.
        """
        signum = self.received
        if trainer.world_size > 1:
            own = torch.tensor(signum, device=trainer.strategy.root_device)
            signum = int(trainer.strategy.reduce(own, reduce_op="max"))
        if signum:
            raise Interrupted(signum)


def _ignore_signal(signum: int, frame: FrameType | None) -> None:
    """Do nothing. SIG_IGN would be inherited by child processes."""


@contextmanager
def interruptible(trainer: Trainer) -> Iterator[None]:
    """Report a signal as such if it also ended the worker processes of a data loader.

    Raises:
        Interrupted: Instead of torch's error about dead workers, if a signal has arrived.
    """
    try:
        yield
    except RuntimeError as error:
        stops = [call for call in trainer.callbacks if isinstance(call, StopAtStep)]  # type: ignore[attr-defined]
        received = max((stop.received for stop in stops), default=0)
        if received and WORKER in str(error):
            raise Interrupted(received) from error
        raise
