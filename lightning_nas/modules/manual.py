"""An optimiser step for modules with manual optimisation."""

from typing import Any

from pytorch_lightning import LightningModule
from torch import Tensor


def take_step(
    module: LightningModule, optimizer: Any, loss: Tensor, clip_norm: float | None = None
) -> None:
    """Take one optimiser step on a loss.

    Args:
        module: Module that the Trainer fits.
        optimizer: Optimiser as returned by ``module.optimizers()``.
        loss: Scalar loss with its graph.
        clip_norm: Upper bound of the norm of the gradients; None = no bound.
    """
    optimizer.zero_grad()
    module.manual_backward(loss)
    if clip_norm is not None:
        module.clip_gradients(optimizer, clip_norm, "norm")
    optimizer.step()
