"""What a test found, beyond the accuracy: the confusion matrix and the most confident mistakes."""

from typing import Any, NamedTuple

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, distributed

MISTAKES = 12  # most confident mistakes that are kept


class Mistakes(NamedTuple):
    """Images of the wrong class, the most confident prediction first.

    Args:
        confidence_N: Probability of the predicted class.
        predicted_N: Number of the predicted class.
        label_N: Number of the true class.
        place_N: Place of the image in the test split, from 0.
        images_NCHW: Normalised images.
    """

    confidence_N: Tensor
    predicted_N: Tensor
    label_N: Tensor
    place_N: Tensor
    images_NCHW: Tensor

    def keep_most_confident(self) -> "Mistakes":
        """Return the ``MISTAKES`` most confident mistakes."""
        order = self.confidence_N.argsort(descending=True)[:MISTAKES]
        return Mistakes(*(part[order] for part in self))


class RecordTest(Callback):
    """Callback that records a test: no image is kept but those of mistakes, on their device.

    ``test_step`` must return the logits ``(B, K)``. The test images must be in the order of an
    ``ImageLoader`` without ``shuffle``.

    Attributes:
        confusion_KK: Number of test images by true class (row) and predicted class (column), on the
            CPU; None before the end of a test.
        mistakes: Most confident mistakes of all processes, on the CPU; None if there is none.
    """

    def __init__(self) -> None:
        self.confusion_KK: Tensor | None = None
        self.mistakes: Mistakes | None = None
        self._tested = 0  # images of this process so far

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier test."""
        self.confusion_KK = self.mistakes = None
        self._tested = 0

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: tuple[Tensor, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the predictions of a batch and keep its most confident mistakes."""
        images, labels = batch
        confidence_B, predicted_B = outputs.float().softmax(dim=1).max(dim=1)
        classes = outputs.shape[1]
        pairs_B = labels * classes + predicted_B
        counts = torch.bincount(pairs_B, minlength=classes**2).view(classes, classes)
        self.confusion_KK = counts if self.confusion_KK is None else self.confusion_KK + counts
        # a correct prediction gets -1: a selection by a mask would wait for the device
        wrong_B = confidence_B.where(predicted_B != labels, -torch.ones_like(confidence_B))
        own_place_B = torch.arange(self._tested, self._tested + len(labels), device=labels.device)
        place_B = own_place_B * trainer.world_size + trainer.global_rank
        self._tested += len(labels)
        found = Mistakes(wrong_B, predicted_B, labels, place_B, images).keep_most_confident()
        if self.mistakes is not None:
            both = zip(self.mistakes, found, strict=True)
            found = Mistakes(*map(torch.cat, both)).keep_most_confident()
        self.mistakes = found

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Join the records of all processes."""
        if self.confusion_KK is None or self.mistakes is None:
            return
        mistakes = Mistakes(*(part.cpu() for part in self.mistakes))
        if trainer.world_size > 1:
            self.confusion_KK = trainer.strategy.reduce(self.confusion_KK, reduce_op="sum")
            shares: list[Any] = [None] * trainer.world_size
            distributed.all_gather_object(shares, mistakes)
            mistakes = Mistakes(*map(torch.cat, zip(*shares, strict=True))).keep_most_confident()
        assert isinstance(self.confusion_KK, Tensor)
        self.confusion_KK = self.confusion_KK.cpu()
        is_wrong = mistakes.confidence_N >= 0
        mistakes = Mistakes(*(part[is_wrong] for part in mistakes))
        self.mistakes = mistakes if len(mistakes.label_N) else None
