"""Ctrl-C and SIGTERM: finish the step, then stop in order, all processes at the same step."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from lightning_nas.methods.enas import ENAS
from lightning_nas.search.trial_search import TrialSearch

SIGNALS = (signal.SIGINT, signal.SIGTERM)
WORKER = "DataLoader worker"  # how torch's message of one that died begins
AGREE_EVERY = 10  # steps between the processes' asking one another, which waits for the device


class Interrupted(BaseException):
    """The user or the system asked to stop.

    No ``Exception``: after one of those Hydra goes on with the next run of ``-m``.

    Args:
        signum: The signal.

    Attributes:
        exit_code: Of the command.
        run: The run folder, to be read by people.
    """

    run = "RUN"

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class StopAtStep(Callback):
    """Turns the first SIGINT or SIGTERM into an ``Interrupted`` after the step; a second kills."""

    def __init__(self) -> None:
        super().__init__()
        self.received = 0
        self._before: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the signals over."""
        self._before = {signum: signal.getsignal(signum) for signum in SIGNALS}
        self._listen()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let a method whose steps take hours ask in the midst of them."""
        if isinstance(pl_module, ENAS | TrialSearch):
            pl_module.poll = lambda: self.stop_if_asked(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM from Lightning, whose handler lets the processes wait for one another."""
        self._listen()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _listen(self) -> None:
        for signum in SIGNALS:
            signal.signal(signum, self._note)
        if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":  # who is preempted hears SIGUSR2, too,
            signal.signal(signal.SIGTERM, _pass_over)  # and only after that is queued again

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.received = signum
        signal.signal(signum, signal.SIG_DFL)
        if sys.platform != "win32":  # torch's raises wherever the program is, even at its exit
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here if asked to."""
        if trainer.world_size == 1 or batch_idx % AGREE_EVERY == 0:
            self.stop_if_asked(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Stop here if asked to; several processes, whose batches may differ by one, go on."""
        if trainer.world_size == 1:
            self.stop_if_asked(trainer)

    def on_test_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """The same."""
        self.on_validation_batch_end(trainer)

    def stop_if_asked(self, trainer: Trainer) -> None:
        """Raise if a signal came. All processes must call it at the same point.

        Raises:
            Interrupted: If this process or another has received a signal.
        """
        signum = self.received
        if trainer.world_size > 1:
            seen = torch.tensor(signum, device=trainer.strategy.root_device)
            signum = int(trainer.strategy.reduce(seen, reduce_op="max"))
        if signum:
            raise Interrupted(signum)


def _pass_over(signum: int, frame: FrameType | None) -> None:
    """Do nothing; SIG_IGN would be handed down to the processes that are started."""


@contextmanager
def interruptible(trainer: Trainer) -> Iterator[None]:
    """Stop in order, too, where a signal went to the processes that load images and ended them.

    Raises:
        Interrupted: In place of what torch says of a loader whose workers are gone.
    """
    try:
        yield
    except RuntimeError as error:
        stops = [call for call in trainer.callbacks if isinstance(call, StopAtStep)]  # type: ignore[attr-defined]
        received = max((stop.received for stop in stops), default=0)
        if received and WORKER in str(error):
            raise Interrupted(received) from error
        raise
