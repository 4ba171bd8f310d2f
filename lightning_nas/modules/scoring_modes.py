"""Scoring the same shared weights with each kind of batch norm statistics.

``lightning_nas.layers.shared`` describes the three kinds. The weights may have been trained with
another kind: running statistics can be computed afterwards.
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
    """Return a supernet with the given weights that scores with the statistics of ``mode``.

    Args:
        mode: One of ``MODES``.
        build: Function from a mode to a new supernet whose network has ``batch_norm=mode``.
        state: State of a network of the same size, in any mode.
    """
    supernet = build(mode)
    own = supernet.network.state_dict()  # only one mode stores running statistics
    supernet.network.load_state_dict({name: state.get(name, own[name]) for name in own})
    return supernet


def tracks_statistics(state: Mapping[str, Tensor]) -> bool:
    """Whether the training of these shared weights tracked running statistics."""
    return any(name.endswith("running_mean") for name in state)


def gather_statistics(
    supernet: SupernetModule, batches: Iterable[tuple[Tensor, Tensor, Architecture]]
) -> None:
    """Compute running statistics as the plain average over batches; the weights do not change.

    An exponential average would depend on the last few architectures that used a layer.

    Args:
        supernet: Supernet in the mode ``running``.
        batches: Training images, labels, and the architecture for each batch.
    """
    norms = [m for m in supernet.network.modules() if isinstance(m, SharedBatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch: None = plain average
    training = supernet.network.training
    supernet.network.train()
    with torch.no_grad():
        for images, _, architecture in batches:
            supernet.network(images, architecture)
    supernet.network.train(training)
