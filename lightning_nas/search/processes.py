"""What several processes of a search compute together. All processes must call these functions."""

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn


def gather(module: LightningModule, values: Tensor) -> Tensor:
    """Return the tensors of all processes, concatenated along the first dimension."""
    gathered: Tensor = module.all_gather(values)  # type: ignore[assignment]
    return gathered.reshape(-1, *values.shape[1:])


def average_buffers(network: nn.Module, trainer: Trainer) -> None:
    """Average the running statistics of a network over the processes: DDP does not."""
    buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    if trainer.world_size > 1 and buffers:
        flat = torch.cat([buffer.flatten() for buffer in buffers])
        sizes = [buffer.numel() for buffer in buffers]
        parts: Tensor = trainer.strategy.reduce(flat, reduce_op="mean")
        for buffer, part in zip(buffers, parts.split(sizes), strict=True):
            buffer.copy_(part.view_as(buffer))


def average_accuracies(accuracy_N: Tensor, images: int, trainer: Trainer) -> list[float]:
    """Return the processes' mean accuracies, weighted by their numbers of images.

    Args:
        accuracy_N: Accuracies of this process, in [0, 1].
        images: Number of this process's images: the numbers may differ by one.
        trainer: Trainer of the search.
    """
    images_N = accuracy_N.new_full(accuracy_N.shape, images)
    correct_N = trainer.strategy.reduce(accuracy_N * images_N, reduce_op="sum")
    mean_N: Tensor = correct_N / trainer.strategy.reduce(images_N, reduce_op="sum")
    return mean_N.tolist()
