"""Ctrl-C and SIGTERM: finish the step, then stop in order."""

import signal
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class Interrupted(Exception):  # noqa: N818 - it is no error
    """The user or the system asked to stop.

    Args:
        signum: The signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class StopAtStep(Callback):
    """Turns the first SIGINT or SIGTERM into an ``Interrupted`` after the step; a second kills."""

    def __init__(self) -> None:
        super().__init__()
        self.received: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the signals over, before Lightning looks whether somebody has them."""
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._note)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.received = signum
        signal.signal(signum, signal.SIG_DFL)

    def on_train_batch_end(self, *args: Any) -> None:
        """Stop here if asked to."""
        self._stop()

    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Stop here if asked to."""
        self._stop()

    def _stop(self) -> None:
        if self.received is not None:
            raise Interrupted(self.received)
