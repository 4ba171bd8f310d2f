"""An optimiser step for modules with manual optimisation, in one process or in several."""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, distributed

from lightning_nas.modules.optimizers import SharedSGD


def take_step(
    module: LightningModule, optimizer: Any, loss: Tensor, clip_norm: float | None = None
) -> None:
    """Take one optimiser step on a loss. Several processes use the mean of their gradients.

    Args:
        module: Module that the Trainer fits, without the wrapper of DDP.
        optimizer: Optimiser as returned by ``module.optimizers()``.
        loss: Scalar loss with its graph.
        clip_norm: Upper bound of the norm of the gradients; None = no bound.
    """
    optimizer.zero_grad()
    module.manual_backward(loss)
    if module.trainer.world_size > 1:
        average_gradients(optimizer.optimizer)
    if clip_norm is not None:
        module.clip_gradients(optimizer, clip_norm, "norm")
    optimizer.step()


def average_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Replace all gradients by their mean over the processes, in one exchange.

    A missing gradient counts as zero, unless it is missing in all processes.
    """
    if isinstance(optimizer, SharedSGD):
        _average(optimizer.gather())
        return
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    has_grad = grads[0].new_tensor([p.grad is not None for p in parameters])
    flat = torch.cat([*(grad.flatten() for grad in grads), has_grad])
    _average(flat)
    *means, shares = flat.split([*(p.numel() for p in parameters), len(parameters)])
    torch._foreach_copy_(grads, [m.view_as(p) for m, p in zip(means, parameters, strict=True)])
    missing = [index for index, p in enumerate(parameters) if p.grad is None]
    for index in missing:  # the controller uses all parameters: no transfer from the device
        parameters[index].grad = grads[index] if shares[index] > 0 else None


def _average(values: Tensor) -> None:
    distributed.all_reduce(values)
    values /= distributed.get_world_size()
