"""The LightningModule of shared weights: loss, scores, optimiser.

It can be fitted alone with uniform sampling. Inside a search it does not log: it returns metrics,
which the search logs. Shapes: ``(B, C, H, W)`` images, ``(B,)`` labels, N = architectures.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.errors import explain_settings
from lightning_nas.layers.shared import BatchStatistics, find_mode_readers
from lightning_nas.spaces.base import Space

Metrics = dict[str, Tensor]


class SupernetModule(LightningModule):
    """LightningModule of a supernet.

    Args:
        network: Network that takes images and an architecture.
        space: Space to sample from when the supernet is fitted alone.
        optimizer: Function from the parameters to the optimiser.
        scheduler: Function from the optimiser to the schedule, which steps once per epoch.
        auxiliary_weight: Weight of the loss of the auxiliary head.
    """

    def __init__(
        self,
        network: nn.Module,
        space: Space,
        optimizer: Callable[[Any], torch.optim.Optimizer],
        scheduler: Callable[[torch.optim.Optimizer], Any],
        auxiliary_weight: float = 0.4,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.space = space
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.auxiliary_weight = auxiliary_weight
        self.uniform = UniformController(space)
        self.calibration: Tensor | None = None  # images for recalibrated statistics

    def loss(
        self, images: Tensor, labels: Tensor, architecture: Architecture
    ) -> tuple[Tensor, Metrics]:
        """Return the loss of one architecture on a training batch, and metrics to log."""
        output = self.network(images, architecture)
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        cross_entropy = F.cross_entropy(logits, labels)
        loss = cross_entropy
        if auxiliary is not None:
            loss = loss + self.auxiliary_weight * F.cross_entropy(auxiliary, labels)
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        return loss, {"loss": cross_entropy.detach(), "accuracy": accuracy}

    def score(
        self, images: Tensor, labels: Tensor, architectures: Sequence[Architecture]
    ) -> Tensor:
        """Return the accuracy of each architecture, ``(N,)`` in [0, 1], on its share of the batch.

        Weights and buffers do not change; dropout is off.

        Args:
            images: Images, divided evenly among the architectures.
            labels: Labels of the images.
            architectures: N architectures.
        """
        n = len(architectures)
        shares = zip(images.tensor_split(n), labels.tensor_split(n), strict=True)
        with self._scoring():
            scores = [
                self._accuracy([share], architecture)
                for share, architecture in zip(shares, architectures, strict=True)
            ]
        return torch.stack(scores)

    def score_together(
        self, images: Tensor, labels: Tensor, architectures: Sequence[Architecture]
    ) -> Tensor:
        """Return the accuracy of each architecture, ``(N,)`` in [0, 1], on the whole batch."""
        return torch.stack(list(self.rank([(images, labels)], architectures)))

    def rank(
        self,
        batches: Iterable[tuple[Tensor, Tensor]],
        architectures: Iterable[Architecture],
    ) -> Iterator[Tensor]:
        """Yield the accuracy of each architecture on all batches, as a scalar tensor."""
        with self._scoring():
            for architecture in architectures:
                yield self._accuracy(batches, architecture)

    @contextmanager
    def _scoring(self) -> Iterator[None]:
        # network.eval() would walk through thousands of modules, twice for every call
        modes = [module.training for module in self._mode_readers]
        try:
            self.statistics.is_scoring = True
            for module in self._mode_readers:
                module.training = False
            with torch.no_grad():
                yield
        finally:
            self.statistics.is_scoring = False
            self.statistics.forget()
            for module, training in zip(self._mode_readers, modes, strict=True):
                module.training = training

    @cached_property
    def _mode_readers(self) -> list[nn.Module]:
        return find_mode_readers(self.network)

    def _accuracy(
        self, batches: Iterable[tuple[Tensor, Tensor]], architecture: Architecture
    ) -> Tensor:
        if self.calibration is not None:
            with self.statistics.record():
                self.network(self.calibration, architecture)
        correct, total = 0, 0
        for images, labels in batches:
            correct += (self.network(images, architecture).argmax(dim=1) == labels).sum()
            total += len(labels)
        return torch.as_tensor(correct / total)

    @property
    def statistics(self) -> BatchStatistics:
        """Statistics that the batch norms of the network use for scoring."""
        return self.network.statistics  # type: ignore[return-value]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Take a step with one uniformly sampled architecture; used when fitted alone."""
        architecture = self.space.decode(self.uniform.sample(1).tokens_NT[0].tolist())
        loss, metrics = self.loss(*batch, architecture)
        self.log_dict({f"train/{name}": value for name, value in metrics.items()})
        return loss

    def configure_optimizers(self) -> Any:
        """Return the optimiser and the schedule."""
        with explain_settings("method.supernet.optimizer"):
            optimizer = self.make_optimizer(self.network.parameters())
        with explain_settings("method.supernet.scheduler"):
            return {"optimizer": optimizer, "lr_scheduler": self.make_scheduler(optimizer)}
