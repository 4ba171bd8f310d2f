"""Training a child from scratch, as NAS and NASNet evaluate an architecture.

Every child has an outcome: one that diverges, runs out of memory or exceeds its time limit gets a
penalty as its reward and an error message.
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

OUT_OF_MEMORY = ("DefaultCPUAllocator", "ALLOC_FAILED")  # RuntimeErrors of the CPU, of cuBLAS


class ChildTraining:
    """Evaluator that trains a child from scratch.

    The constructor has one argument per setting of ``configs/evaluation/child.yaml``.

    Args:
        data: Images; the child is trained on the training split and rewarded on the validation
            split. module: Function from the network to the ``ChildModule``. schedule: Function from
            the optimiser and the number of epochs to the schedule. epochs: Epochs of a training, at
            least 1. trainer: Keyword arguments of Lightning's Trainer. network: Keyword arguments
            of ``build_network``. best_of_last: The reward is the best validation accuracy of this
            many last epochs, at least 1. power: Exponent of the reward, above 0. NAS: best accuracy
            of the last 5 epochs, cubed. penalty: Reward of a child that fails, in [0, 1].
            time_limit: Time limit of a child in seconds; None = no limit. threads: torch threads on
            a CPU; None = unchanged. latency: Whether to measure the latency for ``data.batch_size``
            images.

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
        """Train a child. The random state of the caller is not changed.

        Args:
            architecture: Architecture to train.
            seed: Seed of the initial weights and of dropout. The data decides the order of images.
            poll: Function that is called after every batch; it may raise to stop.
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
            except SystemExit:  # Lightning exits on SIGTERM; poll raises our interrupt instead
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
        """Return the evaluator for finalists: trainings of ``epochs``, with a longer time limit."""
        longer = copy.copy(self)
        longer.epochs = epochs
        if self.time_limit is not None:
            longer.time_limit = self.time_limit * epochs / self.epochs
        return longer

    def steps_of(self, architecture: Architecture, batches: int = 3) -> ChildSteps:
        """Time a few batches of a child, after as many batches for warm-up."""
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
        """Return the reward for the validation accuracies of all epochs of a training."""
        return max(accuracies[-self.best_of_last :]) ** self.power

    def cost(self, architecture: Architecture) -> Complexity:
        """Return the cost of the network of an architecture, without training it."""
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
            self.data.teardown("fit")  # Lightning calls it only if the fit succeeds
        if self.measures_latency:
            device = trainer.strategy.root_device
            shape = (self.data.batch_size, self.data.channels, *2 * (self.data.image_size,))
            with trainer.precision_plugin.forward_context():
                cost["latency"] = measure_latency(network.to(device), shape)


class _OverTimeError(Exception):
    """A child exceeded its time limit. Not a TimeoutError, which file systems raise, too."""


class _Epochs(Callback):
    """Callback that records accuracies and stops a child that diverges or takes too long."""

    def __init__(self, began: float, time_limit: float | None, poll: Poll) -> None:
        super().__init__()
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

    def _check_time(self) -> None:
        if self.time_limit is not None and time.monotonic() - self.began > self.time_limit:
            raise _OverTimeError


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """Raise _OverTimeError one second after the time limit, even if the child hangs.

    Signals reach the main thread only. In other threads the check between batches must suffice.
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
