"""Drop path: the result of an operation is left out for some images of a batch.

Source: Larsson et al., 2017, https://arxiv.org/abs/1605.07648; scheduled over layers and steps by
Zoph et al., 2018, https://arxiv.org/abs/1707.07012, Section 4.1.
"""

import torch
from torch import Tensor


def drop_path(x: Tensor, rate: Tensor) -> Tensor:
    """Zero whole images of ``x`` and scale the others, so that the expectation stays.

    Args:
        x: ``(N, C, H, W)``.
        rate: Probability of being dropped, a scalar tensor in [0, 1): a tensor, so that a rate that
            grows with training neither waits for the device nor compiles again.
    """
    keep = 1 - rate
    kept = torch.rand((x.shape[0], 1, 1, 1), device=x.device) < keep
    return x * (kept / keep).to(x.dtype)


def layer_rate(progress: Tensor, cell: int, cells: int, final_rate: float) -> Tensor:
    """Return the rate of a cell: it grows with its depth and with the progress of training.

    Args:
        progress: Share of the training steps that are done, a scalar tensor in [0, 1].
        cell: Index of the cell, from 0.
        cells: How many cells the network has.
        final_rate: Rate of the last cell at the end of training.
    """
    return progress * ((cell + 1) / cells * final_rate)
