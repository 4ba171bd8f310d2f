"""Base class of searches with shared weights. The steps of ENAS are in ``methods/enas.py``."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_nas.data.base import ImageData
from lightning_nas.errors import InputError
from lightning_nas.evaluation.child_training import ChildTraining
from lightning_nas.evaluation.complexity import synchronised_time
from lightning_nas.evaluation.executors import Evaluator, Executor
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.modules.supernet import Metrics, SupernetModule
from lightning_nas.search.alternating import DEFAULT_EPOCH, Alternating, EpochSettings
from lightning_nas.search.base import Search
from lightning_nas.search.dry_run import estimate_shared_search
from lightning_nas.search.finalists import NO_FINALISTS, Finalists, Progress, add_costs
from lightning_nas.search.processes import (
    average_accuracies,
    average_buffers,
    check_epoch,
    check_precision,
    gather,
    log_step,
    remove_wrapper,
)
from lightning_nas.search.samples import PhaseSamples, RandomArm, count_random_steps
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import POLICY, RANDOM, Trial, best_of
from lightning_nas.weights.checkpoint import add_facts, check_checkpoint

GRADIENT_CHECK = 50  # steps between two checks of the gradients: a check waits for the device
LONGEST_ROW = 10  # consecutive steps without finite gradients after which the search stops


class SharedSearch(Search):
    """Search whose architectures share the weights of one network, the supernet.

    Args:
        supernet: Module of the shared weights.
        controller: Module of the controller. The search uses the space of the controller.
        data: Images: the training split for the weights, the validation split for the controller.
        epoch: Numbers of steps and images in an epoch.
        journal: Path of ``trials.sqlite``, the journal of the search; None = no journal.
        evaluation: Function that builds the evaluator of finalists from ``data``.
        executor: Function that builds the executor of finalists from the evaluator.
        finalists: Number of finalists and their trainings, which are from scratch.
    """

    data: ImageData

    def __init__(
        self,
        supernet: SupernetModule,
        controller: ControllerModule,
        data: ImageData,
        epoch: EpochSettings = DEFAULT_EPOCH,
        journal: str | Path | None = None,
        evaluation: Callable[..., Evaluator] | None = None,
        executor: Callable[[Evaluator], Executor] | None = None,
        finalists: Finalists = NO_FINALISTS,
    ) -> None:
        super().__init__(controller.space, data, evaluation, executor, journal, finalists)
        self.supernet = supernet
        self.controller = controller
        self.controller_steps = epoch.controller_steps if controller.learns else 0
        self.controller_batch = epoch.controller_batch or data.batch_size
        self.random_steps = count_random_steps(self.controller_steps, epoch.random_steps)
        self.warmup_epochs = epoch.warmup_epochs if controller.learns else 0
        self.same_images = epoch.same_images
        self.calibration_images = epoch.calibration_images
        self.seed = epoch.seed
        self.sampling_seed = data.seed if epoch.seed is None else epoch.seed
        self.random_arm = RandomArm(controller.space, controller.samples, self.sampling_seed)
        self.phase_samples = {
            "control": PhaseSamples(RANDOM, updates=0),
            "controller": PhaseSamples(),
        }
        self._latest_trials: list[Trial] = []  # trials of the controller in the last epoch
        self._seconds: dict[str, float] = {}  # duration of each phase in this epoch
        self._phase_start = 0.0  # monotonic time in seconds

    # ---- data and checks -------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Pass the Trainer to the data: the loaders depend on the device and the process."""
        self.data.trainer = self.trainer

    def train_dataloader(self) -> Alternating:
        """Return the phases of an epoch as one loader."""
        self.trainer.should_stop |= self.ends_now
        return Alternating(
            self.data.train_dataloader(),
            self.data.controller_dataloader(self.controller_batch * self.shares),
            self.controller_steps,
            self.random_steps,
        )

    def val_dataloader(self) -> Any:
        """Return the validation split in batches of at least ``controller_batch`` images."""
        return self.data.val_dataloader(self.controller_batch)

    def check_devices(self, devices: int) -> None:
        """Refuse finalists if the search runs on several devices.

        Raises:
            InputError: If there are finalists and more than one device.
        """
        if self.finalists.count and devices > 1:
            raise InputError(
                "method.finalists needs one device: search with method.finalists=0, then "
                f"resume=RUN trainer.devices=1 method.finalists={self.finalists.count}"
            )

    def on_fit_start(self) -> None:
        """Check Trainer and evaluator, load the calibration images, and open the journal."""
        self.check_devices(self.trainer.world_size)
        check_precision(self.trainer)
        remove_wrapper(self.trainer)
        self.load_calibration_images()
        if self.finalists.count:
            _ = self.evaluator  # wrong settings must not come to light at the end of the search
        if self.journal_path is not None and self.trainer.is_global_zero:
            self.journal = Journal(self.journal_path, str(self.space))

    def load_calibration_images(self) -> None:
        """Pass training images to the shared weights if their statistics are recalibrated."""
        if self.supernet.statistics.mode == "recalibrated":
            images, _ = self.data.calibration_batch(self.calibration_images)
            self.supernet.calibration = self.cast(images)

    def cast(self, batch: Any) -> Any:
        """Return a batch in the Trainer's precision. Lightning casts only batches of its loop."""
        return self.trainer.precision_plugin.convert_input(batch)

    def on_train_start(self) -> None:
        """Refuse a Trainer that cuts epochs short, or ends before the controller learns.

        Raises:
            InputError: If there is no epoch after the warm-up, or an epoch would be cut short.
        """
        check_epoch(self.trainer)
        epochs = self.trainer.max_epochs
        if self.warmup_epochs and epochs is not None and 0 <= epochs <= self.warmup_epochs:
            raise InputError(
                f"method.warmup_epochs={self.warmup_epochs} must be below "
                f"trainer.max_epochs={epochs}: the controller would not learn"
            )

    # ---- one epoch -------------------------------------------------------------------------------

    @property
    def shares(self) -> int:
        """Number of shares of a controller's batch of images, at least 1."""
        return 1 if self.same_images else self.controller.samples

    @property
    def is_warming_up(self) -> bool:
        """Whether the shared weights train alone in this epoch, under uniform sampling."""
        return self.current_epoch < self.warmup_epochs

    def on_train_epoch_start(self) -> None:
        """Seed the process and start the clock of the weights phase."""
        if self.trainer.world_size > 1:  # each process must sample its own architectures
            epoch_seed = 1_000_003 * self.current_epoch + self.sampling_seed
            torch.manual_seed(epoch_seed * self.trainer.world_size + self.global_rank)
        self._seconds = {}
        self._phase_start = synchronised_time(self.device)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Check the gradients every ``GRADIENT_CHECK`` steps."""
        if batch_idx % GRADIENT_CHECK == GRADIENT_CHECK - 1:
            self._check_gradients()

    def end_step(self, phase: str, batch_idx: int, metrics: Metrics) -> None:
        """Log the metrics of a step. At the end of a phase, also measure the time of the phase.

        At the end of the weights phase, average the batch norm statistics over the processes.
        """
        if self.trainer.train_dataloader.ends_phase(batch_idx):  # type: ignore[union-attr]
            if phase == "weights":
                average_buffers(self.supernet.network, self.trainer)
            now = synchronised_time(self.device)  # waits until the device has finished
            self._seconds[phase] = now - self._phase_start
            self._phase_start = now
        for name, value in metrics.items():
            prog_bar = (phase, name) in {("weights", "loss"), ("controller", "reward")}
            log_step(self, f"{phase}/{name}", value, prog_bar)

    def on_train_epoch_end(self) -> None:
        """Record the sampled architectures, step the schedule, and log the time of each phase.

        Raises:
            InputError: If the gradients of too many consecutive steps were not finite.
        """
        new_trials: list[Trial] = []
        for samples in self.phase_samples.values():
            trials = samples.take(self.scored, self.count_updates(), partial(gather, self))
            self.record(trials)
            new_trials += trials
        self.new_trials = self._latest_trials = [t for t in new_trials if t.proposal.arm == POLICY]
        schedule: Any = self.lr_schedulers()
        lr = self.optimizer(0).param_groups[0]["lr"]
        schedule.step()
        seconds = {f"{phase}/seconds": value for phase, value in self._seconds.items()}
        self.log_dict({"weights/lr": lr, **seconds})
        self._check_gradients()

    def count_updates(self) -> int:
        """Return the number of controller updates before the current epoch."""
        return max(0, self.current_epoch - self.warmup_epochs) * self.controller_steps

    def record(self, trials: Sequence[Trial]) -> None:
        """Write trials into the journal and add their number to ``scored``."""
        if self.journal is not None and trials:
            self.journal.record(trials)
        self.scored += len(trials)

    def _check_gradients(self) -> None:
        optimizer = self.optimizer(0).optimizer
        if isinstance(optimizer, SharedSGD):
            self.log("weights/skipped", optimizer.counters["skipped"].float(), batch_size=1)
            epoch: Any = self.trainer.train_dataloader
            limit = min(LONGEST_ROW, len(epoch.weights))  # a short search has few steps
            if optimizer.counters["longest_row"] >= limit:
                raise InputError(
                    f"the gradients of {limit} consecutive weights steps were not finite: "
                    "start a new run with a lower method.supernet.optimizer.lr"
                )

    # ---- the end ---------------------------------------------------------------------------------

    def list_best(self, count: int) -> list[Trial]:
        """Return the best trials of the last epoch. Earlier rewards belong to older weights."""
        return best_of(self._latest_trials, count)

    def rank(
        self, tokens_NT: Tensor, progress: Progress
    ) -> tuple[list[tuple[int, ...]], list[float]]:
        """Score architectures on the whole validation split, in batches of ``val_dataloader``.

        Every process scores the architectures of the first process on its share of the images.

        Args:
            tokens_NT: Tokens of the architectures.
            progress: Wrapper of the iteration over the architectures, for a progress bar.

        Returns:
            The tokens of the architectures, and their accuracies in [0, 1].
        """
        tokens = self.trainer.strategy.broadcast(tokens_NT.tolist())
        architectures = [self.space.decode(given) for given in tokens]
        batches = [self.cast(batch) for batch in self.val_dataloader()]
        with self.trainer.precision_plugin.forward_context():
            accuracies = self.supernet.rank(batches, architectures)
            scores = list(progress(accuracies, len(tokens), "Ranking"))
        images = sum(len(labels) for _, labels in batches)
        return tokens, average_accuracies(torch.stack(scores), images, self.trainer)

    def measure_costs(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the trials. If the evaluator trains children, add costs to the best trials."""
        if not isinstance(self.evaluator, ChildTraining):
            return list(trials)
        return add_costs(trials, self.decode, self.evaluator)

    def estimate_cost(self, make_trainer: Callable[[], pl.Trainer], samples: int) -> dict[str, str]:
        """Time a few steps of each phase. The steps change the shared weights."""
        return estimate_shared_search(self, make_trainer(), samples)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and schedule of the weights, and the optimiser of the controller."""
        weights = self.supernet.configure_optimizers()
        if not self.controller.learns:
            return weights
        return [weights, {"optimizer": self.controller.configure_optimizers()}]

    def optimizer(self, index: int) -> Any:
        """Return the optimiser of the weights (0) or of the controller (1)."""
        optimizers: Any = self.optimizers()
        return optimizers[index] if isinstance(optimizers, list) else optimizers

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the number of evaluated architectures, the space and the number of classes."""
        checkpoint["scored"] = self.scored
        add_facts(checkpoint, **self._checkpoint_facts)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load the number of evaluated architectures.

        Raises:
            InputError: If the checkpoint belongs to another space, data set or network.
        """
        check_checkpoint(checkpoint, self, **self._checkpoint_facts)
        self.scored = checkpoint["scored"]

    @property
    def _checkpoint_facts(self) -> dict[str, str | int]:
        return {"space": str(self.space), "classes": self.data.num_classes}
