"""The same shared weights, scored with each kind of batch norm statistics.

``lightning_nas.layers.shared`` has the three kinds. Weights need not have been trained with the
kind that they are scored with: running statistics can be gathered afterwards.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import get_args

import torch
from torch import Tensor

from lightning_nas.architecture import Architecture
from lightning_nas.layers.shared import SharedBatchNorm, Statistics
from lightning_nas.modules.supernet import SupernetModule

MODES: tuple[str, ...] = get_args(Statistics)


def build_in_mode(
    mode: str, build: Callable[[str], SupernetModule], state: Mapping[str, Tensor]
) -> SupernetModule:
    """Return shared weights that are scored with the statistics of ``mode``.

    Args:
        mode: One of ``MODES``.
        build: Makes a supernet whose network has ``batch_norm=mode``.
        state: Of a network of the same size, of any mode.
    """
    supernet = build(mode)
    own = supernet.network.state_dict()  # running statistics are in those of one mode alone
    supernet.network.load_state_dict({name: state.get(name, own[name]) for name in own})
    return supernet


def tracks_statistics(state: Mapping[str, Tensor]) -> bool:
    """Whether running statistics were tracked while these shared weights were trained."""
    return any(name.endswith("running_mean") for name in state)


def gather_statistics(
    supernet: SupernetModule, batches: Iterable[tuple[Tensor, Tensor, Architecture]]
) -> None:
    """Fill in running statistics: the plain average over batches, while the weights stand still.

    An average with weights that fade would hang on the last few architectures that used a layer.

    Args:
        supernet: Of the mode ``running``.
        batches: Images and labels as in training, and the architecture that each goes through.
    """
    norms = [m for m in supernet.network.modules() if isinstance(m, SharedBatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the plain average
    training = supernet.network.training
    supernet.network.train()
    with torch.no_grad():
        for images, _, architecture in batches:
            supernet.network(images, architecture)
    supernet.network.train(training)
