"""Architectures for the tests of pictures: published, fifty random ones per space, edge cases."""

import random
from dataclasses import replace
from itertools import pairwise

from lightning_nas.architecture import (
    COMBINATIONS,
    NASNET_OPERATIONS,
    Block,
    Cell,
    CellArchitecture,
    EdgeCellArchitecture,
    MacroArchitecture,
    MacroLayer,
)
from lightning_nas.pictures.curves import meets
from lightning_nas.published import PUBLISHED
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace

RANDOM = range(50)
NASNET = CellSpace(5, NASNET_OPERATIONS, combinations=COMBINATIONS, rules="nasnet")


def sample(space, seed):
    generator = random.Random(seed)
    return space.decode([generator.randrange(n) for n in space.count_token_options()])


def macro_size(seed):
    return 12 + seed % 13  # 12 to 24 layers


def chain_space(seed):
    """Return a space of 6 to 15 layers: every second one has strides, every third one repeats."""
    strides = (1, 2, 3) if seed % 2 else (1,)
    return ChainSpace(6 + seed % 10, strides=strides, pools=[1], repeats=1 if seed % 3 else 3)


def chain_of_skips(layers, skips):
    """Return a chain with ``skips`` inputs, sampled from all possible inputs."""
    network = sample(ChainSpace(layers), 0)
    pairs = [(source, index) for index in range(layers) for source in range(index)]
    chosen = random.Random(0).sample(pairs, skips)
    return replace(
        network,
        layers=tuple(
            replace(layer, inputs=tuple(sorted(s for s, target in chosen if target == index)))
            for index, layer in enumerate(network.layers)
        ),
    )


ARCHITECTURES = {
    **{name: published.architecture for name, published in PUBLISHED.items()},
    **{f"cell{seed}": sample(CellSpace(), seed) for seed in RANDOM},
    **{f"nasnet{seed}": sample(NASNET, seed) for seed in RANDOM},
    **{f"macro{seed}": sample(MacroSpace(macro_size(seed)), seed) for seed in RANDOM},
    **{f"chain{seed}": sample(chain_space(seed), seed) for seed in RANDOM},
    **{f"edge cell{seed}": sample(EdgeCellSpace(), seed) for seed in RANDOM},
    "chain of 15 layers and 60 skips": chain_of_skips(15, 60),
    "edge cell with every edge": EdgeCellArchitecture(("conv_3x3",) * 6),
    "edge cell without edges": EdgeCellArchitecture(("none",) * 6),
    "cell of one block": sample(CellSpace(blocks=1), 0),
    "cell of eight blocks": sample(CellSpace(blocks=8), 0),
    "cell without a use for an input": CellArchitecture(
        *[Cell((Block((1, 1), ("identity", "identity")),), outputs=(1, 2))] * 2
    ),
    "cells of every operation": CellArchitecture(
        *[Cell(tuple(Block((0, 1), (name, name), "concat") for name in NASNET_OPERATIONS), (2,))]
        * 2,
        rules="nasnet",
    ),
    "macro of one layer": MacroArchitecture((MacroLayer("conv_3x3"),)),
    "macro with every skip": MacroArchitecture(
        tuple(MacroLayer("max_pool_3x3", tuple(range(i))) for i in range(24))
    ),
}


def passes_through_a_box(line, picture):
    points = line.points if line.is_curved else as_splines(line.points)
    return meets(points, picture.boxes)


def as_splines(points):
    """Return the control points of a polyline as splines."""
    pieces = [points[0]]
    for a, b in pairwise(points):
        thirds = [tuple(p + (q - p) * k / 3 for p, q in zip(a, b, strict=True)) for k in (1, 2)]
        pieces += [*thirds, b]
    return pieces


def do_overlap(a, b):
    """Return whether two areas, each (left, bottom, right, top), have a common point."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def is_within(a, b):
    """Return whether area ``a`` is inside area ``b``, with a tolerance of 0.01 points."""
    tolerance = 0.01
    low = all(p >= q - tolerance for p, q in zip(a[:2], b[:2], strict=True))
    return low and all(p <= q + tolerance for p, q in zip(a[2:], b[2:], strict=True))
