"""A step of an optimiser in a module that optimises by hand."""

from typing import Any

from pytorch_lightning import LightningModule
from torch import Tensor


def take_step(
    module: LightningModule, optimizer: Any, loss: Tensor, clip_norm: float | None = None
) -> None:
    """Take one step on a loss.

    Args:
        module: The one that the Trainer fits.
        optimizer: As ``module.optimizers()`` returns it.
        loss: A scalar with its graph.
        clip_norm: Bound of the gradients' norm; None = no bound.
    """
    optimizer.zero_grad()
    module.manual_backward(loss)
    if clip_norm is not None:
        module.clip_gradients(optimizer, clip_norm, "norm")
    optimizer.step()
