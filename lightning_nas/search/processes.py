"""What several processes of a search compute together. All processes must call these functions."""

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_nas.errors import InputError


def check_trainer(trainer: Trainer) -> None:
    """Check the Trainer of a search with shared weights.

    Raises:
        InputError: If an epoch is cut short, or DDP waits for gradients that never come.
    """
    loader: Any = trainer.train_dataloader
    if trainer.num_training_batches != len(loader):
        raise InputError(
            "trainer.limit_train_batches would skip the controller's steps: "
            "use fewer images or a smaller method.controller_steps instead"
        )
    model = trainer.strategy.model
    if isinstance(model, DistributedDataParallel) and not model.find_unused_parameters:
        raise InputError(
            "each step uses only a part of the shared weights: several devices need "
            "trainer.strategy=ddp_find_unused_parameters_true"
        )


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
