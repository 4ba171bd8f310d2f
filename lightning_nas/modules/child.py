"""The LightningModule of a network that is trained from scratch.

Shapes: ``(B, C, H, W)`` images.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from lightning_nas.modules.checkpoint import check, note


class ChildModule(LightningModule):
    """A network, its loss and its accuracy.

    Args:
        network: Returns logits; in training perhaps auxiliary logits too.
        num_classes: Classes.
        optimizer: Makes the optimiser from the parameters.
        scheduler: Makes the schedule from the optimiser, stepped once an epoch.
        auxiliary_weight: Weight of the auxiliary head's loss.
        label_smoothing: Of the training loss, in [0, 1).
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        optimizer: Callable[[Any], torch.optim.Optimizer],
        scheduler: Callable[[torch.optim.Optimizer], Any],
        auxiliary_weight: float = 0.4,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
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
        """Return logits (in training mode perhaps auxiliary logits too)."""
        return self.network(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss, the auxiliary head's included."""
        images, labels = batch
        output = self.network(images)
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        cross_entropy = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        loss = cross_entropy
        if auxiliary is not None:
            loss = loss + self.auxiliary_weight * F.cross_entropy(auxiliary, labels)
        accuracy: Any = self.accuracy["train_"]
        accuracy(logits, labels)
        self.log("train/loss", cross_entropy, on_step=True, on_epoch=True, prog_bar=True)
        self.log("train/accuracy", accuracy, on_step=False, on_epoch=True)
        return loss

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Tell the network how much of the training is done: drop path grows with it."""
        progress = getattr(self.network, "progress", None)
        if progress is not None:
            steps = self.trainer.estimated_stepping_batches
            progress.fill_(min(1.0, (self.trainer.global_step + 1) / steps))

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Measure on validation images."""
        self._evaluate("val", *batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Measure on test images."""
        self._evaluate("test", *batch)

    def _evaluate(self, stage: str, images: Tensor, labels: Tensor) -> None:
        logits = self.network(images)
        accuracy: Any = self.accuracy[f"{stage}_"]
        accuracy(logits, labels)
        self.log(f"{stage}/accuracy", accuracy, on_step=False, on_epoch=True, prog_bar=True)
        loss = F.cross_entropy(logits, labels)
        self.log(f"{stage}/loss", loss, batch_size=len(labels), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return optimiser and schedule."""
        optimizer = self.make_optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": self.make_scheduler(optimizer)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what it was made for."""
        note(checkpoint, classes=self.num_classes)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Look whether it is of this network.

        Raises:
            InputError: If it is of another data set or network.
        """
        check(checkpoint, self, classes=self.num_classes)
