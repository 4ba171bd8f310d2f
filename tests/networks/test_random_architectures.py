"""Random architectures of every space build networks that run forward and backward."""

import random

import pytest
import torch

from lightning_nas.architecture import NASNET_OPERATIONS
from lightning_nas.networks.build import build_network
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace

BUILT, RUN = 100, 30
SPACES = {
    "chain": ChainSpace(layers=6, filters=(2, 4)),
    "chain with strides": ChainSpace(layers=6, strides=(1, 2, 3), filters=(2, 4)),
    "chain with pools": ChainSpace(layers=4, filters=(2, 4), repeats=2, pools=(1, 3)),
    "NASNet": CellSpace(
        5, NASNET_OPERATIONS, combinations=("add", "concat"), rules="nasnet", cells=1, filters=4
    ),
    "ENAS micro": CellSpace(blocks=5, cells=1, filters=4),
    "ENAS macro": MacroSpace(layers=6, filters=4),
    "edge cell": EdgeCellSpace(cells=1, filters=4),
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_random_architectures_build_and_train(space):
    draws = random.Random(0)
    for number in range(BUILT):
        architecture = space.decode([draws.randrange(n) for n in space.count_token_options()])
        network = build_network(architecture, num_classes=3, image_size=8)
        if number < RUN:
            logits = network(torch.randn(2, 3, 8, 8))
            assert logits.shape == (2, 3)
            logits.square().sum().backward()
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            assert gradients
            assert all(gradient.isfinite().all() for gradient in gradients)
