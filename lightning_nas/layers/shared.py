"""Batch norm for weights that many architectures share.

A running average over the statistics of all architectures fits none of them. So the default knows
only the statistics of the batch at hand; the two other ways are kept to be compared with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.errors import InputError
from lightning_nas.layers import cpu

Statistics = Literal["batch", "running", "recalibrated"]


class BatchStatistics:
    """Which statistics all batch norms of one network use when they are not in training.

    Args:
        mode: ``batch``: those of the batch at hand. ``running``: an average over all training
            batches and architectures. ``recalibrated``: those that the same architecture has on a
            calibration batch, recorded just before.

    Raises:
        InputError: If the mode is none of the three.
    """

    def __init__(self, mode: str) -> None:
        if mode not in get_args(Statistics):
            raise InputError(f"batch_norm must be one of {get_args(Statistics)}, got {mode!r}")
        self.mode = mode
        self.recording = False
        self.recorded: dict[int, tuple[Tensor, Tensor]] = {}

    @contextmanager
    def record(self) -> Iterator[None]:
        """Within it, every batch norm that runs notes the statistics of its input."""
        self.recorded.clear()
        self.recording = True
        try:
            yield
        finally:
            self.recording = False

    def forget(self) -> None:
        """Drop what was recorded."""
        self.recorded.clear()

    def norm(self, channels: int, eps: float = 1e-5) -> "SharedBatchNorm":
        """Return a batch norm that obeys these statistics."""
        return SharedBatchNorm(channels, eps, self)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm of shared weights. In training it always uses the batch's own statistics."""

    def __init__(self, channels: int, eps: float, statistics: BatchStatistics) -> None:
        super().__init__(channels, eps, track_running_stats=statistics.mode == "running")
        self.statistics = statistics

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(N, C, H, W)``."""
        if self.statistics.mode == "batch" and cpu.folds(x):
            return cpu.FoldedBatchNorm.apply(x, self.weight, self.bias, self.eps)
        if self.training or self.statistics.mode != "recalibrated":
            return super().forward(x)
        if self.statistics.recording:
            self.statistics.recorded[id(self)] = self._moments(x)
        mean, variance = self.statistics.recorded.get(id(self)) or self._moments(x)
        return F.batch_norm(x, mean, variance, self.weight, self.bias, eps=self.eps)

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x if x.dtype == torch.float64 else x.float()  # half precision sums lose digits
        variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        return mean.to(self.weight.dtype), variance.to(self.weight.dtype)
