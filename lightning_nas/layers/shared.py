"""Batch norm for weights that many architectures share.

Running statistics over all architectures fit none of them, so the default normalises with the
statistics of the current batch. The two other modes exist for comparison.
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
    """Statistics that all batch norms of one network use in evaluation.

    Args:
        mode: ``batch``: statistics of the current batch. ``running``: running average over all
            training batches and architectures. ``recalibrated``: statistics of the same
            architecture on a calibration batch, recorded by ``record``.

    Raises:
        InputError: If the mode is unknown.

    Attributes:
        is_scoring: Whether the batch norms act as in evaluation, whatever their training mode.
    """

    def __init__(self, mode: str) -> None:
        if mode not in get_args(Statistics):
            legal = ", ".join(get_args(Statistics))
            raise InputError(f"supernet.batch_norm must be one of {legal}, got {mode!r}")
        self.mode = mode
        self.is_scoring = False
        self.recording = False
        self.recorded: dict[int, tuple[Tensor, Tensor]] = {}

    @contextmanager
    def record(self) -> Iterator[None]:
        """Let every batch norm that runs in this context record the statistics of its input."""
        self.recorded.clear()
        self.recording = True
        try:
            yield
        finally:
            self.recording = False

    def forget(self) -> None:
        """Delete the recorded statistics."""
        self.recorded.clear()

    def norm(self, channels: int, eps: float = 1e-5) -> "SharedBatchNorm":
        """Return a batch norm that uses these statistics."""
        return SharedBatchNorm(channels, eps, self)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm of shared weights; in training it always uses the statistics of the batch."""

    def __init__(self, channels: int, eps: float, statistics: BatchStatistics) -> None:
        super().__init__(channels, eps, track_running_stats=statistics.mode == "running")
        self.statistics = statistics

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``(N, C, H, W)`` map."""
        if self.statistics.mode == "batch" and cpu.can_fold(x):
            return cpu.FoldedBatchNorm.apply(x, self.weight, self.bias, self.eps)
        if self.training and not self.statistics.is_scoring:
            return super().forward(x)
        if self.statistics.mode != "recalibrated":
            moments = self.running_mean, self.running_var
            is_batch = self.running_mean is None
            return F.batch_norm(x, *moments, self.weight, self.bias, is_batch, eps=self.eps)
        if self.statistics.recording:
            self.statistics.recorded[id(self)] = self._moments(x)
        mean, variance = self.statistics.recorded.get(id(self)) or self._moments(x)
        return F.batch_norm(x, mean, variance, self.weight, self.bias, eps=self.eps)

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x if x.dtype == torch.float64 else x.float()  # sums in half precision lose digits
        variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        return mean.to(self.weight.dtype), variance.to(self.weight.dtype)


# modules whose result does not depend on the training mode
_MODELESS = (nn.Conv2d, nn.Identity, nn.Linear, nn.ModuleDict, nn.ModuleList, nn.Sequential)


def find_mode_readers(network: nn.Module) -> list[nn.Module]:
    """Return the modules whose result may depend on their training mode, the network included.

    Shared batch norms are left out, because ``BatchStatistics.is_scoring`` switches all of them.
    Of this project's other layers, only the network itself reads its mode; modules of other
    packages may be of any kind.
    """
    return [network] + [
        module
        for module in network.modules()
        if module is not network
        and type(module) not in _MODELESS
        and not type(module).__module__.startswith("lightning_nas.")
    ]
