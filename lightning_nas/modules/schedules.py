"""Learning rate schedules for a training of any number of epochs."""

from collections.abc import Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
)

from lightning_nas.errors import InputError


def cosine(
    optimizer: Optimizer,
    epochs: int,
    lowest: float = 0.0,
    warmup: int = 0,
    period: int | None = None,
    growth: int = 1,
    steps_per_epoch: int = 1,
) -> LRScheduler:
    """Return a cosine schedule from the rate of the optimiser down to ``lowest``.

    The schedule can start with a warm-up and can have restarts.

    Source: Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983; for the warm-up, Goyal et
    al., 2017, https://arxiv.org/abs/1706.02677, Section 2.2.

    Args:
        optimizer: Optimiser whose rates are set.
        epochs: Epochs of the whole training.
        lowest: Rate at the end.
        warmup: Epochs in which the rate grows linearly, at most ``epochs`` - 1.
        period: Epochs until the first restart; None = no restarts.
        growth: Factor between the lengths of successive periods.
        steps_per_epoch: Steps of the schedule in an epoch, at least 1. With 1, the rate is constant
            in an epoch.

    Raises:
        InputError: If ``warmup``, ``period`` or ``growth`` is out of its range.
    """
    if period is not None and (period < 1 or growth < 1):
        raise InputError(f"period and growth must be at least 1, got {period} and {growth}")
    if warmup < 0:
        raise InputError(f"warmup must be at least 0, got {warmup}")
    warmup = max(0, min(warmup, epochs - 1))
    rest = (epochs - warmup) * steps_per_epoch
    decay: LRScheduler = CosineAnnealingLR(optimizer, T_max=rest, eta_min=lowest)
    if period is not None:
        first = period * steps_per_epoch
        decay = CosineAnnealingWarmRestarts(optimizer, first, growth, eta_min=lowest)
    if warmup == 0:
        return decay
    total = warmup * steps_per_epoch
    rise = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=total)
    return SequentialLR(optimizer, [rise, decay], milestones=[total])


def steps(
    optimizer: Optimizer,
    epochs: int,
    at: Sequence[float] = (0.5, 0.75),
    factor: float = 0.1,
    steps_per_epoch: int = 1,
) -> LRScheduler:
    """Return a schedule that multiplies the rate by ``factor`` at given shares of the training.

    Source: Huang et al., 2017 (DenseNet), https://arxiv.org/abs/1608.06993, Section 4.2.
    """
    milestones = [round(share * epochs) * steps_per_epoch for share in at]
    return MultiStepLR(optimizer, milestones, factor)
