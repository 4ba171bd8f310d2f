"""Evaluator that trains a child from scratch, as in NAS and NASNet.

Every child has an outcome. If a child diverges, runs out of memory or exceeds the time limit, the
reward of the child is a penalty, and the outcome has an error message.
"""

import copy
import inspect
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from lightning_nas.errors import InputError, explain_settings, is_out_of_memory
from lightning_nas.evaluation.child_steps import ChildSteps, Stopwatch
from lightning_nas.evaluation.complexity import Complexity, measure, measure_latency
from lightning_nas.evaluation.executors import Cutoffs, Poll
from lightning_nas.evaluation.rungs import NO_RUNGS, Rungs
from lightning_nas.modules.child import ChildModule
from lightning_nas.networks.build import build_network
from lightning_nas.storage.trial import Outcome


class ChildTraining:
    """Evaluator that trains a child from scratch.

    The constructor has one argument per setting of ``configs/evaluation/child.yaml``.

    Args:
        data: Images. A child learns from the training split; the reward is measured on the
            validation split.
        module: Function from the network to the ``ChildModule``.
        schedule: Function from the optimiser and the number of epochs to the schedule.
        epochs: Epochs of a training, at least 1.
        trainer: Keyword arguments of Lightning's Trainer.
        network: Keyword arguments of ``build_network``.
        best_of_last: Number of last epochs, at least 1. The reward uses the best validation
            accuracy of these epochs. NAS: 5.
        power: Exponent of this accuracy in the reward, above 0. NAS: 3.
        penalty: Reward of a child that fails, in [0, 1].
        time_limit: Time limit of a child in seconds, above 0; None = no limit.
        threads: Number of torch threads on a CPU; None = unchanged.
        latency: Whether to measure the latency for a batch of ``data.batch_size`` images.
        rungs: Epochs, in rising order, after which a child can stop early (``rungs.py``).
        keep: Share of the children that go on after such an epoch, in (0, 1).

    Raises:
        InputError: If a number is out of range, or the Trainer has no such setting.
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
        rungs: Sequence[int] = (),
        keep: float = 1 / 3,
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
        unknown = sorted(set(trainer) - set(inspect.signature(pl.Trainer).parameters))
        if unknown:  # a search with shared weights builds this Trainer only at its end
            name = f"evaluation.trainer.{unknown[0]}"
            raise InputError(f"{name} is no setting of Lightning's Trainer")
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
        self.rungs = Rungs(tuple(rungs), keep)
        self.rungs.check(epochs)

    def __call__(
        self,
        architecture: Architecture,
        seed: int,
        poll: Poll = lambda: None,
        cutoffs: Cutoffs | None = None,
    ) -> Outcome:
        """Train a child. The random state of the caller stays the same.

        Args:
            architecture: Architecture to train.
            seed: Seed of the initial weights and of dropout. ``data`` sets the order of the images.
            poll: Function to call after every batch; an exception from ``poll`` stops the training.
            cutoffs: Least accuracy in [0, 1] at a rung with which the child goes on, by epoch; None
                = the child does not stop.
        """
        if self.threads:
            torch.set_num_threads(self.threads)
        began = time.monotonic()
        epochs = _EpochRecorder(began, self.time_limit, poll, cutoffs or {})
        cost: dict[str, Any] = {}
        error = None
        with torch.random.fork_rng(), _limit_time(self.time_limit):
            torch.manual_seed(seed)
            try:
                self._train(architecture, epochs, cost)
            except SystemExit:  # Lightning exits on SIGTERM; poll raises Interrupted instead
                poll()
                raise
            except _TimeLimitError:
                error = f"longer than {self.time_limit:g} s"
            except FloatingPointError as failure:
                error = str(failure)
            except (RuntimeError, MemoryError) as failure:
                if not (isinstance(failure, torch.OutOfMemoryError) or is_out_of_memory(failure)):
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
        """Return an evaluator that trains for ``epochs``; the time limit grows in proportion."""
        longer = copy.copy(self)
        longer.epochs, longer.rungs = epochs, NO_RUNGS
        if self.time_limit is not None:
            longer.time_limit = self.time_limit * epochs / self.epochs
        return longer

    def on_test_images(self) -> "ChildTraining":
        """Return an evaluator that measures accuracies on the test split of the data."""
        other = copy.copy(self)
        other.data = self.data.validate_on_test()
        return other

    def steps_of(self, architecture: Architecture, batches: int = 3) -> ChildSteps:
        """Measure step times of a child in a short epoch, after an equally long warm-up epoch."""
        timed = copy.copy(self)
        timed.epochs, timed.time_limit = 2, None
        limits = {"limit_train_batches": batches, "limit_val_batches": batches}
        timed.trainer = self.trainer | limits
        watch = Stopwatch()
        cost: dict[str, Any] = {}
        timed._train(architecture, watch, cost)
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
        """Return the reward for the validation accuracies of all epochs of a training."""
        return max(accuracies[-self.best_of_last :]) ** self.power

    def cost(self, architecture: Architecture) -> Complexity:
        """Return the cost of the network of an architecture, without a training."""
        return measure(self._build_network(architecture), self.data.channels, self.data.image_size)

    def _build_network(self, architecture: Architecture) -> nn.Module:
        return build_network(
            architecture,
            num_classes=self.data.num_classes,
            in_channels=self.data.channels,
            image_size=self.data.image_size,
            **self.network,
        )

    def _train(self, architecture: Architecture, epochs: Callback, cost: dict[str, Any]) -> None:
        network = self._build_network(architecture)
        measured = measure(network, self.data.channels, self.data.image_size)
        cost |= {"parameters": measured.parameters, "multiply_adds": measured.multiply_adds}
        module = self.make_module(
            network=network,
            num_classes=self.data.num_classes,
            scheduler=partial(self.make_schedule, epochs=self.epochs),
        )
        with explain_settings("evaluation.trainer"):
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
            self.data.teardown("fit")  # Lightning calls teardown only if the fit succeeds
        if self.measures_latency:
            device = trainer.strategy.root_device
            shape = (self.data.batch_size, self.data.channels, *2 * (self.data.image_size,))
            with trainer.precision_plugin.forward_context():
                cost["latency"] = measure_latency(network.to(device), shape)


class _TimeLimitError(Exception):
    """Error of a child that exceeds the time limit.

    TimeoutError would be ambiguous: file systems raise it, too.
    """


class _EpochRecorder(Callback):
    """Callback that records accuracies and stops a child at a rung, or if it fails."""

    def __init__(
        self, began: float, time_limit: float | None, poll: Poll, cutoffs: Cutoffs
    ) -> None:
        super().__init__()
        self.cutoffs = cutoffs
        self.began = began
        self.time_limit = time_limit
        self.poll = poll
        self.accuracies: list[float] = []

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self.poll()
        self._check_time()

    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self.poll()
        self._check_time()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = float(trainer.callback_metrics["train/loss"])
        if not loss < float("inf"):
            raise FloatingPointError(f"the loss was {loss} in epoch {trainer.current_epoch}")
        self.accuracies.append(float(trainer.callback_metrics["val/accuracy"]))
        least = self.cutoffs.get(len(self.accuracies), 0.0)
        trainer.should_stop |= self.accuracies[-1] < least

    def _check_time(self) -> None:
        if self.time_limit is not None and time.monotonic() - self.began > self.time_limit:
            raise _TimeLimitError


@contextmanager
def _limit_time(seconds: float | None) -> Iterator[None]:
    """Raise _TimeLimitError one second after the time limit, even if the child hangs.

    Python handles signals in the main thread only. In another thread, this function does nothing;
    then only the check after each batch enforces the time limit.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def raise_time_limit(signum: int, frame: FrameType | None) -> None:
        raise _TimeLimitError

    previous_handler = signal.signal(signal.SIGALRM, raise_time_limit)
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous_handler)
