"""The LightningModule that trains the network of one architecture: a child or a final network.

Shapes: ``(B, C, H, W)`` images.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from lightning_nas.errors import InputError, explain_settings
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.checkpoint import BLUEPRINT, add_facts, check_checkpoint


class ChildModule(LightningModule):
    """LightningModule of a network: loss, accuracy, optimiser.

    Args:
        network: Network that returns logits; in training with an auxiliary head, logits and
            auxiliary logits.
        num_classes: Number of classes.
        optimizer: Function that builds the optimiser from the parameters.
        scheduler: Function that builds the schedule from the optimiser. If the interval is "step",
            the function also gets ``steps_per_epoch``.
        auxiliary_weight: Weight of the loss of the auxiliary head.
        label_smoothing: Label smoothing of the training loss, in [0, 1).
        frozen_stages: Number of stages, counted from the image, to freeze. The parameters and
            batch norm statistics of frozen stages do not change. See ``network.stages``.
        stage_factor: Learning rate of a stage divided by the rate of the next stage, in (0, 1].
            The heads have the learning rate of the optimiser.
        decay_norms_and_biases: Whether the weight decay of the optimiser also applies to batch norm
            and to biases, that is, to parameters of one dimension.
        schedule_interval: "epoch" or "step": when the schedule changes the learning rate.
        blueprint: Blueprint of the network, stored in checkpoints.

    Raises:
        InputError: If a setting is out of its range.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        optimizer: Callable[[Any], torch.optim.Optimizer],
        scheduler: Callable[..., Any],
        auxiliary_weight: float = 0.4,
        label_smoothing: float = 0.0,
        frozen_stages: int = 0,
        stage_factor: float = 1.0,
        decay_norms_and_biases: bool = True,
        schedule_interval: str = "epoch",
        blueprint: Blueprint | None = None,
    ) -> None:
        super().__init__()
        staged = frozen_stages or stage_factor != 1
        stages: list[list[nn.Module]] = network.stages if staged else []  # type: ignore[assignment]
        if not 0 <= frozen_stages <= len(stages) or not 0 < stage_factor <= 1:
            raise InputError(
                f"module.frozen_stages must be 0 to {len(stages)} and module.stage_factor in "
                f"(0, 1], got {frozen_stages} and {stage_factor}"
            )
        if schedule_interval not in ("epoch", "step"):
            raise InputError(
                f"module.schedule_interval must be epoch or step, got {schedule_interval}"
            )
        self.stage_factor = stage_factor
        self.decay_norms_and_biases = decay_norms_and_biases
        self.schedule_interval = schedule_interval
        self.blueprint = blueprint
        self._frozen = [part for stage in stages[:frozen_stages] for part in stage]
        for part in self._frozen:
            part.requires_grad_(False)
        self.num_classes = num_classes
        self.network = network.to(memory_format=torch.channels_last)
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.auxiliary_weight = auxiliary_weight
        self.label_smoothing = label_smoothing
        self.accuracy = nn.ModuleDict(
            {
                stage: MulticlassAccuracy(num_classes, average="micro")
                for stage in ("train_", "val_", "test_")
            }
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits; in training with an auxiliary head, logits and auxiliary logits."""
        return self.network(images)

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but keep frozen stages in evaluation mode."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    def on_train_start(self) -> None:
        """Put frozen stages into evaluation mode: Lightning does not call ``train`` itself."""
        self.train()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss, including the loss of the auxiliary head."""
        images, labels = batch
        output = self.network(images)
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        smoothing = self.label_smoothing
        cross_entropy = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        loss = cross_entropy
        if auxiliary is not None:
            auxiliary_loss = F.cross_entropy(auxiliary, labels, label_smoothing=smoothing)
            loss = loss + self.auxiliary_weight * auxiliary_loss
        accuracy: Any = self.accuracy["train_"]
        accuracy(logits, labels)
        self.log("train/loss", cross_entropy, on_step=True, on_epoch=True, prog_bar=True)
        self.log("train/accuracy", accuracy, on_step=False, on_epoch=True)
        return loss

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set ``network.progress``, which determines the rate of drop path."""
        progress = getattr(self.network, "progress", None)
        if progress is not None:
            steps = self.trainer.estimated_stepping_batches
            progress.fill_(min(1.0, (self.trainer.global_step + 1) / steps))

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log loss and accuracy on validation images."""
        self._evaluate("val", *batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Log loss and accuracy on test images, and return the logits ``(B, K)``."""
        return self._evaluate("test", *batch)

    def predict_step(self, batch: tuple[list[Path], Tensor], batch_idx: int) -> Any:
        """Return the image files and the class probabilities, ``(B, K)`` on the CPU, of a batch."""
        paths, images = batch
        return paths, self.network(images).float().softmax(dim=1).cpu()

    def _evaluate(self, stage: str, images: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        accuracy: Any = self.accuracy[f"{stage}_"]
        accuracy(logits, labels)
        self.log(f"{stage}/accuracy", accuracy, on_step=False, on_epoch=True, prog_bar=True)
        loss = F.cross_entropy(logits, labels)
        self.log(f"{stage}/loss", loss, batch_size=len(labels), sync_dist=True)
        return logits

    def configure_optimizers(self) -> Any:
        """Return the optimiser and the schedule."""
        with explain_settings("module.optimizer"):
            optimizer = self.make_optimizer(self._group_parameters())
        _step_at_once(optimizer)
        with explain_settings("module.scheduler"):
            if self.schedule_interval == "epoch":
                return {"optimizer": optimizer, "lr_scheduler": self.make_scheduler(optimizer)}
            schedule = self.make_scheduler(optimizer, steps_per_epoch=self._count_steps())
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _count_steps(self) -> int:
        """Return the optimiser steps in an epoch."""
        _ = self.trainer.estimated_stepping_batches  # counts the batches
        return math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)

    def _group_parameters(self) -> list[dict[str, Any]]:
        """Return the parameters to train, in groups of one learning rate and weight decay."""
        groups = [{"params": [p for p in self.parameters() if p.requires_grad]}]
        if self.stage_factor != 1:
            groups = self._group_by_stage()
        if not self.decay_norms_and_biases:
            groups = [part for group in groups for part in _split_by_decay(group)]
        return [group for group in groups if group["params"]]

    def _group_by_stage(self) -> list[dict[str, Any]]:
        rate = self.make_optimizer([torch.zeros(1, requires_grad=True)]).param_groups[0]["lr"]
        stages: Any = self.network.stages
        groups = []
        for index, stage in enumerate(stages):
            trained = [p for part in stage for p in part.parameters() if p.requires_grad]
            stage_rate = rate * self.stage_factor ** (len(stages) - index)
            groups.append({"params": trained, "lr": stage_rate})
        staged = {id(p) for stage in stages for part in stage for p in part.parameters()}
        groups.append({"params": [p for p in self.parameters() if id(p) not in staged]})
        return groups

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the number of classes and the blueprint."""
        add_facts(checkpoint, classes=self.num_classes)
        if self.blueprint is not None:
            checkpoint[BLUEPRINT] = self.blueprint.to_json()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint fits this module.

        Raises:
            InputError: If the checkpoint belongs to another data set or network.
        """
        check_checkpoint(checkpoint, self, classes=self.num_classes)


def _split_by_decay(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the group without batch norms and biases, and a group of these without decay."""
    decayed = [p for p in group["params"] if p.ndim > 1]
    others = [p for p in group["params"] if p.ndim <= 1]
    return [{**group, "params": decayed}, {**group, "params": others, "weight_decay": 0.0}]


def _step_at_once(optimizer: torch.optim.Optimizer) -> None:
    """Let SGD update all parameters at once on a CPU too, unless the settings say otherwise.

    Torch does so on a GPU only. The updates are equal to the last bit, in half the time.
    """
    if isinstance(optimizer, torch.optim.SGD):
        for group in optimizer.param_groups:
            if group["foreach"] is None and not group["fused"]:
                group["foreach"] = True
