"""What several processes of a search compute together. All processes must call these functions."""

from functools import partial
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightning_nas.errors import InputError


def check_precision(trainer: Trainer) -> None:
    """Check the precision of a search with shared weights.

    Raises:
        InputError: If the precision scales the loss.
    """
    # The scaler skips steps on its own, waits for the device in every step, and would have to
    # unscale the gradients before they are clipped. bfloat16 needs none.
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        raise InputError(
            f"trainer.precision={trainer.precision}: a search with shared weights cannot scale the "
            "loss; use trainer.precision=bf16-mixed or 32-true"
        )


def check_epoch(trainer: Trainer) -> None:
    """Check the epochs of a search with shared weights.

    Raises:
        InputError: If an epoch is cut short.
    """
    loader: Any = trainer.train_dataloader
    if trainer.num_training_batches != len(loader):
        raise InputError(
            "trainer.limit_train_batches would skip the controller's steps: "
            "use fewer images or a smaller method.controller_steps instead"
        )


def remove_wrapper(trainer: Trainer) -> None:
    """Take the wrapper of DDP off, which has made all weights equal to those of the first process.

    The wrapper would look for unused parameters in every step: ten times as many operations in
    ``backward``. ``take_step`` averages the gradients instead.
    """
    strategy = trainer.strategy
    if isinstance(strategy.model, DistributedDataParallel):
        strategy.model = strategy.lightning_module


def log_step(module: LightningModule, name: str, value: Tensor, prog_bar: bool) -> None:
    """Log a metric of a step, and its mean over the epoch and all processes.

    The metric of the step is that of the first process. The processes exchange their means at the
    end of the epoch only: an exchange in every step would make them wait for one another.
    """
    if module.trainer.world_size == 1:
        module.log(name, value, on_step=True, on_epoch=True, prog_bar=prog_bar, batch_size=1)
        return
    log = partial(module.log, value=value, batch_size=1)
    log(f"{name}_step", on_step=True, on_epoch=False, prog_bar=prog_bar)
    log_mean = partial(log, on_step=False, on_epoch=True, sync_dist=True)
    log_mean(f"{name}_epoch", prog_bar=prog_bar)
    log_mean(name, logger=False)  # for callbacks that monitor it


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
