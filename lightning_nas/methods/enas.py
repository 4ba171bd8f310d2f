"""ENAS: one set of weights for all architectures, and a controller that learns which are good.

For every epoch: (1) for each batch of the training split, sample an architecture and take a step
on the shared weights; (2) so many times, sample a few architectures, take their accuracy on
validation images as reward, and take a REINFORCE step on the controller. At the end: sample, rank
on the whole validation split, keep the best. Between (1) and (2) a few uniformly drawn ones are
scored alike, which nothing learns from: they say what the controller is worth.

Source: Pham et al., 2018, https://arxiv.org/abs/1802.03268. ``enas.md`` has the details.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.data.base import ImageData
from lightning_nas.errors import InputError
from lightning_nas.evaluation.child_training import ChildTraining
from lightning_nas.evaluation.executors import Evaluator, Executor
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.manual import take_step
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.modules.supernet import Metrics, SupernetModule
from lightning_nas.search.alternating import Alternating, Phase
from lightning_nas.search.costs import add_costs
from lightning_nas.search.finalists import Progress, train_finalists
from lightning_nas.search.random_arm import RandomArm, count_random_steps
from lightning_nas.search.result import LISTED, SearchResult, decode_trials
from lightning_nas.search.samples import Samples, make_trials
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import DERIVED, RANDOM, Proposal, Trial, best_of
from lightning_nas.weights.checkpoint import add_facts, check_checkpoint

Batch = tuple[Phase, tuple[Tensor, Tensor]]
SAMPLED_AHEAD = 128  # architectures that are brought from the device at once in the weights phase
GRADIENT_CHECK = 50  # steps between looks at whether gradients are finite
LONGEST_ROW = 10  # steps in a row without finite gradients, after which the search stops


class ENAS(LightningModule):
    """The pair of shared weights and controller, and how they take turns.

    Args:
        supernet: The shared weights.
        controller: The controller.
        data: The images; the controller alone sees the validation split.
        controller_steps: Controller steps an epoch.
        controller_batch: Validation images for each sampled architecture; None = ``data``'s batch.
        control_steps: Steps an epoch in which uniformly drawn architectures are scored, beside the
            controller's; None = a tenth of its steps. There are none where no controller learns.
        calibration_images: Training images on which statistics are recalibrated, where they are.
        journal: Path of ``trials.sqlite``, where all that the controller samples is written down;
            None = nowhere.
        evaluation: Makes what trains an architecture from scratch, from the images: for finalists.
        executor: Makes what does so for several.
        finalists: How many of the best are trained from scratch before the choice; 0 = none.
        finalist_epochs: Epochs of theirs.

    Raises:
        InputError: If a number is negative.
    """

    def __init__(
        self,
        supernet: SupernetModule,
        controller: ControllerModule,
        data: ImageData,
        controller_steps: int = 30,
        controller_batch: int | None = None,
        calibration_images: int = 512,
        control_steps: int | None = 0,
        journal: str | Path | None = None,
        evaluation: Callable[..., Evaluator] | None = None,
        executor: Callable[[Evaluator], Executor] | None = None,
        finalists: int = 0,
        finalist_epochs: int = 100,
    ) -> None:
        super().__init__()
        if min(controller_steps, control_steps or 0, finalists) < 0 or finalist_epochs < 1:
            raise InputError(
                "method.controller_steps, method.control_steps and method.finalists must be >= 0 "
                f"and method.finalist_epochs >= 1, got {controller_steps}, {control_steps}, "
                f"{finalists} and {finalist_epochs}"
            )
        self.automatic_optimization = False
        self.supernet = supernet
        self.controller = controller
        self.data = data
        self.controller_steps = controller_steps if controller.learns else 0
        self.controller_batch = controller_batch or data.batch_size
        self.control_steps = count_random_steps(self.controller_steps, control_steps)
        self.control = RandomArm(controller.space, controller.samples, data.seed)
        self.calibration_images = calibration_images
        self.journal_path = journal
        self.journal: Journal | None = None
        self.make_evaluator = evaluation
        self.make_executor = executor
        self.finalists = finalists
        self.finalist_epochs = finalist_epochs
        self.poll: Callable[[], None] = lambda: None
        self.scored = 0
        self._samples = {"control": Samples(RANDOM, updates=0), "controller": Samples()}
        self._ahead: deque[Architecture] = deque()
        self._seconds: dict[str, float] = {}
        self._phase_began = 0.0

    # ---- data ------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Tell the data which device and which process this is."""
        self.data.trainer = self.trainer

    def train_dataloader(self) -> Alternating:
        """Return the phases of an epoch as one loader."""
        images = self.controller.samples * self.controller_batch
        return Alternating(
            self.data.train_dataloader(),
            self.data.controller_dataloader(images),
            self.controller_steps,
            self.control_steps,
        )

    def val_dataloader(self) -> Any:
        """Return the search-validation split."""
        return self.data.val_dataloader()

    def on_fit_start(self) -> None:
        """Take the images on which statistics are recalibrated, and open the journal.

        Raises:
            InputError: If finalists are to be trained beside several processes.
        """
        if self.finalists and self.trainer.world_size > 1:
            raise InputError(
                "method.finalists needs one device: search without them, then "
                f"resume=RUN trainer.devices=1 method.finalists={self.finalists}"
            )
        self.take_calibration_images()
        if self.journal_path is not None and self.trainer.is_global_zero:
            self.journal = Journal(self.journal_path, str(self.controller.space))

    def take_calibration_images(self) -> None:
        """Give the shared weights the images for their statistics, where these are recalibrated."""
        if self.supernet.statistics.mode == "recalibrated":
            images, _ = self.data.calibration_batch(self.calibration_images)
            self.supernet.calibration = self.cast(images)

    def cast(self, batch: Any) -> Any:
        """Bring images that Lightning's loops do not see to the Trainer's precision."""
        return self.trainer.precision_plugin.convert_input(batch)

    def on_train_start(self) -> None:
        """Check settings of the Trainer that would spoil the search without a word.

        Raises:
            InputError: If an epoch is cut short, or DDP waits for gradients that never come.
        """
        loader: Any = self.trainer.train_dataloader
        if self.trainer.num_training_batches != len(loader):
            raise InputError(
                "trainer.limit_train_batches would leave the controller's steps out: "
                "choose a smaller data set or method.controller_steps instead"
            )
        model = self.trainer.strategy.model
        if isinstance(model, DistributedDataParallel) and not model.find_unused_parameters:
            raise InputError(
                "a step uses a part of the shared weights: with several devices set "
                "trainer.strategy=ddp_find_unused_parameters_true"
            )

    # ---- one epoch -------------------------------------------------------------------------------

    def on_train_epoch_start(self) -> None:
        """Begin with the weights phase."""
        if self.trainer.world_size > 1:  # every process samples its own architectures
            epoch_seed = 1_000_003 * self.current_epoch + self.data.seed
            torch.manual_seed(epoch_seed * self.trainer.world_size + self.global_rank)
        self._ahead.clear()
        self._seconds = {}
        self._phase_began = time.monotonic()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Take one step of the phase that the batch belongs to."""
        phase, (images, labels) = batch
        if phase == "weights":
            metrics = self._weights_step(images, labels)
        elif phase == "control":
            metrics = self._control_step(images, labels, batch_idx)
        else:
            metrics = self._controller_step(images, labels)
        if self.trainer.train_dataloader.ends_phase(batch_idx):  # type: ignore[union-attr]
            if phase == "weights":
                self._average_statistics()
            ended = time.monotonic()
            self._seconds[phase] = ended - self._phase_began
            self._phase_began = ended
        self._log(phase, metrics)

    def _weights_step(self, images: Tensor, labels: Tensor) -> Metrics:
        loss, metrics = self.supernet.loss(images, labels, self._next_architecture())
        take_step(self, self._optimizer(0), loss)
        return metrics

    def _control_step(self, images: Tensor, labels: Tensor, step: int) -> Metrics:
        rollout, architectures = self.control.sample(self.current_epoch, step, self.global_rank)
        reward_N = self.supernet.score(images, labels, architectures)
        self._samples["control"].add(rollout, reward_N)
        return {"reward": reward_N.mean()}

    def _controller_step(self, images: Tensor, labels: Tensor) -> Metrics:
        rollout, architectures = self.controller.sample(self.controller.samples)
        reward_N = self.supernet.score(images, labels, architectures)
        self._samples["controller"].add(rollout, reward_N)
        loss, metrics = self.controller.loss(rollout, reward_N)
        take_step(self, self._optimizer(1), loss, self.controller.clip_norm)
        return metrics

    def _next_architecture(self) -> Architecture:
        if not self._ahead:  # the controller stands still in this phase: many can be drawn at once
            with torch.no_grad():
                self._ahead.extend(self.controller.sample(SAMPLED_AHEAD)[1])
        return self._ahead.popleft()

    def _average_statistics(self) -> None:
        """Give all processes the same running statistics, where there are any: DDP does not."""
        buffers = [b for b in self.supernet.network.buffers() if b.is_floating_point()]
        if self.trainer.world_size > 1 and buffers:
            flat = torch.cat([buffer.flatten() for buffer in buffers])
            parts = self.trainer.strategy.reduce(flat, reduce_op="mean").split(
                [buffer.numel() for buffer in buffers]
            )
            for buffer, part in zip(buffers, parts, strict=True):
                buffer.copy_(part.view_as(buffer))

    def on_train_epoch_end(self) -> None:
        """Write down what was sampled, step the schedule, report the phases' seconds.

        Raises:
            InputError: If nothing can be learnt any more.
        """
        updates = self.current_epoch * self.controller_steps
        for samples in self._samples.values():
            self._record(samples.take(self.scored, updates, self._from_all_processes))
        schedule: Any = self.lr_schedulers()
        lr = self._optimizer(0).param_groups[0]["lr"]
        schedule.step()
        seconds = {f"{phase}/seconds": value for phase, value in self._seconds.items()}
        self.log_dict({"weights/lr": lr, **seconds})
        self._check_gradients()

    def _record(self, trials: Sequence[Trial]) -> None:
        if self.journal is not None and trials:
            self.journal.record(trials)
        self.scored += len(trials)

    def _from_all_processes(self, values: Tensor) -> Tensor:
        gathered: Tensor = self.all_gather(values)  # type: ignore[assignment]
        return gathered.reshape(-1, *values.shape[1:])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Score a freshly sampled architecture a batch: how good the average sample is."""
        _, architectures = self.controller.sample(1)
        accuracy = self.supernet.score(*batch, architectures).mean()
        self.log("val/accuracy", accuracy, batch_size=len(batch[1]), sync_dist=True, prog_bar=True)

    # ---- the end ---------------------------------------------------------------------------------

    def derive(self, samples: int, progress: Progress) -> SearchResult:
        """Sample architectures and as many uniform ones, rank all on the whole validation split.

        The finalists, where there are any, are then trained from scratch.

        Args:
            samples: How many of each, at least 1.
            progress: Wraps the iteration over all of them, for a progress bar.
        """
        space, updates = self.controller.space, self.current_epoch * self.controller_steps
        sampled = self.controller.sample(samples)[0]
        uniform = UniformController(space).sample(samples)
        drawn = torch.cat([sampled.tokens_NT, uniform.tokens_NT.to(self.device)])
        # All processes rank the same architectures, each on its share of the images.
        tokens = self.trainer.strategy.broadcast(drawn.tolist())
        architectures = [space.decode(given) for given in tokens]
        batches = [self.cast(batch) for batch in self.data.val_dataloader()]
        with self.trainer.precision_plugin.forward_context():
            scores = list(progress(self.supernet.rank(batches, architectures), 2 * samples))
        accuracies = self._over_all_images(torch.stack(scores), sum(len(y) for _, y in batches))
        trials = make_trials(
            self.scored,
            tokens,
            [*sampled.log_prob_NT.tolist(), *uniform.log_prob_NT.tolist()],
            accuracies,
            [updates] * len(tokens),
            [DERIVED] * samples + [RANDOM] * samples,
        )
        trials = self._with_costs(trials[:samples]) + trials[samples:]
        self._record(trials)
        best = best_of(trials[:samples], max(self.finalists, LISTED))
        how = "Accuracy on validation images with the shared weights"
        if self.finalists:
            best = self._train_longer(best[: self.finalists], progress)
            how = f"{how}, of the best after {self.finalist_epochs} epochs from scratch"
        return SearchResult(
            decode_trials(best, self._decode),
            tuple(accuracies[:samples]),
            tuple(accuracies[samples:]),
            how,
        )

    def _with_costs(self, trials: list[Trial]) -> list[Trial]:
        training = self.make_evaluator and self.make_evaluator(data=self.data)
        if not isinstance(training, ChildTraining):  # what it costs is not known
            return trials
        return add_costs(trials, self._decode, training)

    def _train_longer(self, best: Sequence[Trial], progress: Progress) -> list[Trial]:
        assert self.journal is not None, "finalists are written into the journal"
        assert self.make_evaluator is not None
        assert self.make_executor is not None
        evaluator = self.make_evaluator(data=self.data).final(self.finalist_epochs)
        executor = self.make_executor(evaluator)
        return train_finalists(
            best, self._decode, executor, self.journal, progress, poll=lambda: self.poll()
        )

    def _decode(self, proposal: Proposal) -> Architecture:
        return self.controller.space.decode(proposal.tokens)

    def _over_all_images(self, scores_N: Tensor, images: int) -> list[float]:
        """Join the processes' accuracies, each on so many images: the shares may differ by one."""
        images_N = scores_N.new_full(scores_N.shape, images)
        correct_N = self.trainer.strategy.reduce(scores_N * images_N, reduce_op="sum")
        total_N = self.trainer.strategy.reduce(images_N, reduce_op="sum")
        joined: Tensor = correct_N / total_N
        return joined.tolist()

    # ---- housekeeping ----------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """Return the optimiser and schedule of the weights and the optimiser of the controller."""
        weights = self.supernet.configure_optimizers()
        if not self.controller.learns:
            return weights
        return [weights, {"optimizer": self.controller.configure_optimizers()}]

    def _optimizer(self, index: int) -> Any:
        optimizers: Any = self.optimizers()
        return optimizers[index] if isinstance(optimizers, list) else optimizers

    def _log(self, phase: str, metrics: Metrics) -> None:
        for name, value in metrics.items():
            shown = (phase, name) in {("weights", "loss"), ("controller", "reward")}
            self.log(
                f"{phase}/{name}",
                value,
                on_step=True,
                on_epoch=True,
                prog_bar=shown,
                batch_size=1,
                sync_dist=self.trainer.world_size > 1,
            )

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Look now and then whether the gradients are finite: each look waits for the device."""
        if batch_idx % GRADIENT_CHECK == GRADIENT_CHECK - 1:
            self._check_gradients()

    def _check_gradients(self) -> None:
        optimizer = self._optimizer(0).optimizer
        if not isinstance(optimizer, SharedSGD):
            return
        counters = optimizer.counters
        self.log("weights/skipped", counters["skipped"].float(), batch_size=1)
        if counters["longest_row"] >= LONGEST_ROW:
            raise InputError(
                f"the gradients of {LONGEST_ROW} weights steps in a row were not finite; the "
                "last checkpoint is of before: begin again with a lower "
                "method.supernet.optimizer.lr"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep how many architectures were scored, and for what."""
        checkpoint["scored"] = self.scored
        add_facts(checkpoint, **self._made_for)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again.

        Raises:
            InputError: If the checkpoint is of another space, data set or network.
        """
        check_checkpoint(checkpoint, self, **self._made_for)
        self.scored = checkpoint["scored"]

    def teardown(self, stage: str) -> None:
        """Let the journal go."""
        if self.journal is not None:
            self.journal.close()

    @property
    def _made_for(self) -> dict[str, str | int]:
        return {"space": str(self.controller.space), "classes": self.data.num_classes}
