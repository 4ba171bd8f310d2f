"""Learning rates over a training, whatever its number of epochs."""

from collections.abc import Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR


def cosine(optimizer: Optimizer, epochs: int, lowest: float = 0.0) -> LRScheduler:
    """Return half a cosine, from the optimiser's rate down to ``lowest``.

    Source: Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983.
    """
    return CosineAnnealingLR(optimizer, T_max=epochs, eta_min=lowest)


def steps(
    optimizer: Optimizer, epochs: int, at: Sequence[float] = (0.5, 0.75), factor: float = 0.1
) -> LRScheduler:
    """Return a rate that is multiplied by ``factor`` at some shares of the training.

    Source: Huang et al., 2017 (DenseNet), https://arxiv.org/abs/1608.06993, Section 4.2.
    """
    return MultiStepLR(optimizer, [round(share * epochs) for share in at], factor)
