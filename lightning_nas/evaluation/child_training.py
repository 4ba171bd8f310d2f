"""Training a child from scratch: what an architecture is worth, the papers' way.

Whatever a child does, its outcome is plain data: one that diverges, runs out of memory or out of
time has a penalty for a reward and says why.
"""

import copy
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from lightning_nas.architecture import Architecture
from lightning_nas.data.base import ImageData
from lightning_nas.errors import InputError
from lightning_nas.evaluation.child_steps import ChildSteps, Stopwatch
from lightning_nas.evaluation.complexity import Complexity, measure, measure_latency
from lightning_nas.evaluation.executors import Poll
from lightning_nas.modules.child import ChildModule
from lightning_nas.networks.build import build_network
from lightning_nas.storage.trial import Outcome

OUT_OF_MEMORY = ("DefaultCPUAllocator", "ALLOC_FAILED")  # plain RuntimeErrors: a CPU's, cuBLAS's


class ChildTraining:
    """Trains a network of an architecture and returns what came of it.

    Args:
        data: The images: trained on the training split, rewarded on the validation split.
        module: Makes the ``ChildModule`` from the network.
        schedule: Makes the schedule from the optimiser and the number of epochs.
        epochs: Of a training, at least 1.
        trainer: Settings of Lightning's Trainer.
        network: Settings of ``build_network``.
        best_of_last: The reward is the best accuracy of so many last epochs, at least 1.
        power: Which is raised to this power. NAS: the best of the last 5, cubed.
        penalty: Reward of a child that fails, in [0, 1].
        time_limit: Seconds a child may take; None = no limit.
        threads: torch's threads on a CPU; None = as they are.
        latency: Measure how long the network takes for ``data.batch_size`` images.

    Raises:
        InputError: If a number is out of range.
    """

    def __init__(
        self,
        data: ImageData,
        module: Callable[..., ChildModule],
        schedule: Callable[..., Any],
        epochs: int,
        trainer: Mapping[str, Any],
        network: Mapping[str, Any],
        best_of_last: int = 1,
        power: float = 1.0,
        penalty: float = 0.0,
        time_limit: float | None = None,
        threads: int | None = None,
        latency: bool = False,
    ) -> None:
        if epochs < 1:
            raise InputError(f"evaluation.epochs must be at least 1, got {epochs}")
        if best_of_last < 1 or power <= 0 or not 0 <= penalty <= 1:
            raise InputError(
                "evaluation.best_of_last must be at least 1, power above 0 and penalty in [0, 1], "
                f"got {best_of_last}, {power} and {penalty}"
            )
        if time_limit is not None and time_limit <= 0:
            raise InputError(f"evaluation.time_limit must be above 0, got {time_limit}")
        self.data = data
        self.make_module = module
        self.make_schedule = schedule
        self.epochs = epochs
        self.trainer = dict(trainer)
        self.network = dict(network)
        self.best_of_last = best_of_last
        self.power = power
        self.penalty = penalty
        self.time_limit = time_limit
        self.threads = threads
        self.measures_latency = latency

    def __call__(self, architecture: Architecture, seed: int, poll: Poll = lambda: None) -> Outcome:
        """Train a child. The caller's random numbers are not touched.

        Args:
            architecture: What is trained.
            seed: Of its first weights and its dropout; the order of images is the data's.
            poll: Called after every batch; may raise to stop.
        """
        if self.threads:
            torch.set_num_threads(self.threads)
        began = time.monotonic()
        epochs = _Epochs(began, self.time_limit, poll)
        cost: dict[str, Any] = {}
        error = None
        with torch.random.fork_rng(), _alarm(self.time_limit):
            torch.manual_seed(seed)
            try:
                self._train(architecture, epochs, cost)
            except SystemExit:  # Lightning's, of a SIGTERM; the search says how to go on
                poll()
                raise
            except _OverTimeError:
                error = f"longer than {self.time_limit:g} s"
            except FloatingPointError as failure:
                error = str(failure)
            except (RuntimeError, MemoryError) as failure:
                if not _out_of_memory(failure):
                    raise
                error = "out of memory"
        if error and torch.cuda.is_available():
            torch.cuda.empty_cache()
        return Outcome(
            self.penalty if error else self.reward(epochs.accuracies),
            tuple(epochs.accuracies),
            seconds=round(time.monotonic() - began, 3),
            error=error,
            **cost,
        )

    def final(self, epochs: int) -> "ChildTraining":
        """Return the same with trainings of ``epochs``, and as much more time, for the best."""
        longer = copy.copy(self)
        longer.epochs = epochs
        if self.time_limit is not None:
            longer.time_limit = self.time_limit * epochs / self.epochs
        return longer

    def steps_of(self, architecture: Architecture, batches: int = 3) -> ChildSteps:
        """Time a few batches of a child, after as many that are not timed."""
        short = copy.copy(self)
        short.epochs, short.time_limit = 2, None
        limits = {"limit_train_batches": batches, "limit_val_batches": batches}
        short.trainer = self.trainer | limits
        watch = Stopwatch()
        cost: dict[str, Any] = {}
        short._train(architecture, watch, cost)
        return ChildSteps(
            parameters=cost["parameters"],
            multiply_adds=cost["multiply_adds"],
            train=watch.seconds("train"),
            validation=watch.seconds("validation"),
            batch_size=self.data.batch_size,
            train_batches=len(self.data.train_dataloader()),
            validation_batches=len(self.data.val_dataloader()),
            epochs=self.epochs,
            device=watch.device,
        )

    def reward(self, accuracies: list[float]) -> float:
        """Return the reward for the accuracies of a training's epochs."""
        return max(accuracies[-self.best_of_last :]) ** self.power

    def cost(self, architecture: Architecture) -> Complexity:
        """Return the cost of a child's network, without training it."""
        return measure(self._network(architecture), self.data.channels, self.data.image_size)

    def _network(self, architecture: Architecture) -> nn.Module:
        return build_network(
            architecture,
            num_classes=self.data.num_classes,
            in_channels=self.data.channels,
            image_size=self.data.image_size,
            **self.network,
        )

    def _train(self, architecture: Architecture, epochs: Callback, cost: dict[str, Any]) -> None:
        network = self._network(architecture)
        measured = measure(network, self.data.channels, self.data.image_size)
        cost |= {"parameters": measured.parameters, "multiply_adds": measured.multiply_adds}
        module = self.make_module(
            network=network,
            num_classes=self.data.num_classes,
            scheduler=partial(self.make_schedule, epochs=self.epochs),
        )
        trainer = pl.Trainer(
            **self.trainer,
            max_epochs=self.epochs,
            devices=1,
            logger=False,
            callbacks=[epochs],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        try:
            trainer.fit(module, datamodule=self.data)
        finally:
            self.data.teardown("fit")  # Lightning does so only after a fit that succeeds
        if self.measures_latency:
            device = trainer.strategy.root_device
            shape = (self.data.batch_size, self.data.channels, *2 * (self.data.image_size,))
            with trainer.precision_plugin.forward_context():
                cost["latency"] = measure_latency(network.to(device), shape)


class _OverTimeError(Exception):
    """A child has had its time; a TimeoutError may be of a file system."""


class _Epochs(Callback):
    """Takes down the accuracy of each epoch, and ends a child that has diverged or takes long."""

    def __init__(self, began: float, time_limit: float | None, poll: Poll) -> None:
        super().__init__()
        self.began = began
        self.time_limit = time_limit
        self.poll = poll
        self.accuracies: list[float] = []

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self.poll()
        self._look_at_the_clock()

    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self.poll()
        self._look_at_the_clock()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = float(trainer.callback_metrics["train/loss"])
        if not loss < float("inf"):
            raise FloatingPointError(f"the loss was {loss} in epoch {trainer.current_epoch}")
        self.accuracies.append(float(trainer.callback_metrics["val/accuracy"]))

    def _look_at_the_clock(self) -> None:
        if self.time_limit is not None and time.monotonic() - self.began > self.time_limit:
            raise _OverTimeError


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """Raise _OverTimeError a second after the time is over, in the midst of whatever hangs.

    Where this is not the main thread, the look at the clock between batches has to do.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise _OverTimeError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _out_of_memory(failure: Exception) -> bool:
    if isinstance(failure, torch.OutOfMemoryError | MemoryError):
        return True
    return any(said in str(failure) for said in OUT_OF_MEMORY)
