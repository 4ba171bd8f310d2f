"""Drop path: the result of an operation is zero for randomly chosen images of a batch.

Source: Larsson et al., 2017, https://arxiv.org/abs/1605.07648; the schedule over layers and steps
is from Zoph et al., 2018, https://arxiv.org/abs/1707.07012, Section 4.1.
"""

import torch
from torch import Tensor


def drop_path(x: Tensor, rate: Tensor) -> Tensor:
    """Set whole images of ``x`` to zero and scale the others to keep the expectation.

    Args:
        x: Map, ``(N, C, H, W)``.
        rate: Probability to drop an image, a scalar tensor in [0, 1). It is a tensor because a
            growing Python number would wait for the device and recompile the network.
    """
    keep_rate = 1 - rate
    mask = torch.rand((x.shape[0], 1, 1, 1), device=x.device) < keep_rate
    return x * (mask / keep_rate).to(x.dtype)


def layer_rate(progress: Tensor, cell: int, cells: int, final_rate: float) -> Tensor:
    """Return the drop path rate of a cell, which grows with its depth and with training.

    Args:
        progress: Completed share of the training steps, a scalar tensor in [0, 1].
        cell: Index of the cell, from 0.
        cells: Number of cells in the network.
        final_rate: Rate of the last cell at the end of training, in [0, 1).
    """
    return progress * ((cell + 1) / cells * final_rate)
