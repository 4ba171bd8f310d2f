"""Shared weights of a search, taken over by the networks of its architectures."""

import random
import re

import pytest
import torch
from torch import nn

from lightning_nas.architecture import ChainArchitecture, ChainLayer, EdgeCellArchitecture
from lightning_nas.errors import InputError
from lightning_nas.networks.build import build_network
from lightning_nas.networks.edge_cell import EdgeCellNetwork
from lightning_nas.networks.shared_cell import SharedCellNetwork
from lightning_nas.networks.shared_edge_cell import SharedEdgeCellNetwork
from lightning_nas.networks.shared_macro import SharedMacroNetwork
from lightning_nas.published import load_architecture
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.weights.inherit import are_shared, inherit

CELLS, FILTERS, BLOCKS, LAYERS = 2, 4, 3, 6
SIZE = {"num_classes": 4, "image_size": 8}
NUMBER = 20  # random architectures of each space
SEEDS = pytest.mark.parametrize("seed", range(NUMBER))


def drawn(space, seed):
    draws = random.Random(seed)
    return space.decode([draws.randrange(n) for n in space.count_token_options()])


def random_cells(seed):
    return drawn(CellSpace(blocks=BLOCKS), seed)


def random_layers(seed):
    return drawn(MacroSpace(layers=LAYERS), seed)


def with_values(network):
    """Give all tensors values of which no two are alike."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5) if "running_var" in name else tensor.normal_()
    return network


def shared_cells(**more):
    settings = {"cells": CELLS, "filters": FILTERS, "blocks": BLOCKS, "auxiliary": False}
    return with_values(SharedCellNetwork(**SIZE, **(settings | more)))


def shared_layers(**more):
    settings = {"layers": LAYERS, "filters": FILTERS}
    return with_values(SharedMacroNetwork(**SIZE, **(settings | more)))


def own_cells(architecture, **more):
    return build_network(architecture, **SIZE, **({"cells": CELLS, "filters": FILTERS} | more))


def own_layers(architecture, **more):
    return build_network(architecture, **SIZE, **({"filters": FILTERS} | more))


def pairs(network, shared):
    """Yield each operation of a network of cells: its cell, itself, and its counterpart."""
    for index, cell in enumerate(network.cells):
        for b, block in enumerate(cell.cell.blocks):
            for side in range(2):
                edges = shared.cells[index].blocks[b][side]
                counterpart = edges[block.inputs[side]][block.operations[side]]
                yield index, cell.operations[b][side], counterpart


def learned(module):
    return list(module.parameters())


def equal(a, b):
    own, others = learned(a), learned(b)
    return len(own) == len(others) and all(map(torch.equal, own, others))


def values(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def computes_the_same(a, b, channels):
    """Whether two operations give the same in training, on what neither has seen."""
    x = torch.randn(3, channels, 6, 6)
    torch.testing.assert_close(a.train()(x), b.train()(x), rtol=1e-4, atol=1e-4)


# ---- at the size of the search ------------------------------------------------------------------


@SEEDS
def test_every_operation_of_random_cells_is_taken(seed):
    shared, network = shared_cells(), own_cells(random_cells(seed))
    taken = inherit(network, shared.state_dict())
    compared = 0
    for _, own, counterpart in pairs(network, shared):
        assert equal(own, counterpart)
        compared += bool(learned(own))
    assert taken.operations == taken.of == compared > 0
    assert equal(network.stem, shared.stem)


@pytest.mark.parametrize("seed", range(5))
def test_operations_of_cells_compute_what_those_of_the_search_did(seed):
    shared, network = shared_cells(), own_cells(random_cells(seed))
    inherit(network, shared.state_dict())
    for _, own, counterpart in pairs(network, shared):
        channels = next((p.shape[0] for p in own.parameters() if p.ndim == 4), FILTERS)
        channels = 2 * channels if type(own).__name__ == "StridedIdentity" else channels
        computes_the_same(own, counterpart, channels)


def fits(operation, counterpart):
    return [p.shape for p in learned(operation)] == [p.shape for p in learned(counterpart)]


@SEEDS
def test_the_released_searchs_reduction_cells_give_what_they_have(seed):
    shared = shared_cells(reduction="factorized")
    network = own_cells(random_cells(seed))
    taken = inherit(network, shared.state_dict())
    expected = total = 0
    for index, own, counterpart in pairs(network, shared):
        total += bool(learned(own))
        if not fits(own, counterpart):  # a strided identity, which has weights
            assert network.halves[index]
            continue
        assert equal(own, counterpart)
        expected += bool(learned(own))
    assert (taken.operations, taken.of) == (expected, total)


@SEEDS
def test_the_first_stage_of_random_layers_is_taken(seed):
    shared, network = shared_layers(), own_layers(random_layers(seed))
    taken = inherit(network, shared.state_dict())
    first = LAYERS // 3  # layers as wide as those of the search
    assert (taken.operations, taken.of) == (first, LAYERS)
    assert equal(network.stem, shared.stem)
    for index in range(first):
        layer = network.architecture.layers[index]
        branch = shared.layers[index].branches[layer.operation]
        own = nn.ModuleList([network.blocks[index].conv, network.blocks[index].operation])
        assert equal(own, branch)


@pytest.mark.parametrize("kind", ["cells", "layers"])
@pytest.mark.parametrize("batch_norm", ["batch", "running", "recalibrated"])
def test_running_statistics_are_taken_where_the_search_had_them(kind, batch_norm):
    if kind == "cells":
        shared, network = shared_cells(batch_norm=batch_norm), own_cells(random_cells(0))
    else:
        shared, network = shared_layers(batch_norm=batch_norm), own_layers(random_layers(0))
    inherit(network, shared.state_dict())
    mean, deviation = network.stem[1].running_mean, network.stem[1].running_var
    if batch_norm == "running":
        assert torch.equal(mean, shared.stem[1].running_mean)
        assert torch.equal(deviation, shared.stem[1].running_var)
    else:
        assert torch.equal(mean, torch.zeros_like(mean))
        assert torch.equal(deviation, torch.ones_like(deviation))


@pytest.mark.parametrize("kind", ["cells", "layers"])
def test_what_lies_between_operations_stays_as_it_began(kind):
    if kind == "cells":
        shared, network = shared_cells(), own_cells(random_cells(1))
        kept = r"classifier\.|cells\.\d+\.(older|newer|base|fit_outputs)\."
    else:
        shared, network = shared_layers(), own_layers(random_layers(1))
        kept = r"classifier\.|halvings\.|blocks\.\d+\.join\.|blocks\.[2-9]\."
    before = values(network)
    taken = inherit(network, shared.state_dict())
    after = values(network)
    unchanged = [name for name in before if torch.equal(before[name], after[name])]
    assert [n for n in before if re.match(kept, n) and n not in unchanged] == []
    changed = [n for n in before if n not in unchanged]
    assert changed
    assert taken.tensors == len(changed)
    assert taken.of_tensors == len(before)
    assert str(taken) == (
        f"{taken.operations} of {taken.of} operations with weights, "
        f"{len(changed)} of {len(before)} tensors"
    )


# ---- at other sizes -----------------------------------------------------------------------------


@pytest.mark.parametrize("filters", [2, 6, 8])
def test_nothing_fits_a_network_of_cells_of_other_filters(filters):
    network = own_cells(random_cells(0), filters=filters)
    before = values(network)
    with pytest.raises(InputError, match="build it with the size of the supernet"):
        inherit(network, shared_cells().state_dict())
    after = values(network)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_of_half_the_filters_the_second_stage_is_as_wide_as_the_search():
    network, shared = own_layers(random_layers(0), filters=FILTERS // 2), shared_layers()
    taken = inherit(network, shared.state_dict())
    assert (taken.operations, taken.of) == (LAYERS // 3, LAYERS)
    for index in range(LAYERS // 3, 2 * LAYERS // 3):
        branch = shared.layers[index].branches[network.architecture.layers[index].operation]
        assert torch.equal(network.blocks[index].conv.conv.weight, branch.conv.weight)


def test_nothing_fits_a_network_of_layers_of_other_filters():
    with pytest.raises(InputError, match="build it with the size of the supernet"):
        inherit(own_layers(random_layers(0), filters=6), shared_layers().state_dict())


@SEEDS
@pytest.mark.parametrize(
    ("cells", "places"),  # for each cell of the network, that of the search; None where it has none
    [
        (1, [0, 2, 3, 5, 6]),
        (3, [0, 1, None, 2, 3, 4, None, 5, 6, 7, None]),
    ],
)
def test_in_stacks_of_another_length_cells_keep_their_place(cells, places, seed):
    shared, network = shared_cells(), own_cells(random_cells(seed), cells=cells)
    check_places(network, shared, places)


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_the_reductions_of_the_stem_for_large_images_have_no_counterpart(cells):
    shared = shared_cells(filters=8)
    network = build_network(
        random_cells(0), num_classes=4, cells=cells, filters=8, stem="imagenet", image_size=64
    )
    places = {1: [0, 2, 3, 5, 6], 2: [*range(8)], 3: [0, 1, None, 2, 3, 4, None, 5, 6, 7, None]}
    check_places(network, shared, [None, None, *places[cells]])


def check_places(network, shared, places):
    """Check that each cell has the operations of its counterpart, or those that it began with."""
    before = values(network)
    taken = inherit(network, shared.state_dict())
    after = values(network)
    expected = total = 0
    for index, place in enumerate(places):
        cell = network.cells[index]
        for b, block in enumerate(cell.cell.blocks):
            for side in range(2):
                own = cell.operations[b][side]
                total += bool(learned(own))
                if place is None:
                    names = [n for n in before if n.startswith(f"cells.{index}.operations.")]
                    assert all(torch.equal(before[n], after[n]) for n in names)
                    continue
                edges = shared.cells[place].blocks[b][side]
                assert equal(own, edges[block.inputs[side]][block.operations[side]])
                expected += bool(learned(own))
    assert len(places) == len(network.cells)
    assert (taken.operations, taken.of) == (expected, total)


def test_a_network_of_fewer_or_more_layers_takes_its_first_ones():
    for layers in (3, 9):
        network = own_layers(drawn(MacroSpace(layers=layers), 0))
        assert inherit(network, shared_layers().state_dict()).operations == layers // 3


# ---- what has no shared weights -----------------------------------------------------------------


@pytest.mark.parametrize(
    "architecture",
    [
        load_architecture("nasnet_a"),
        load_architecture("darts_nasnet_a"),
        ChainArchitecture((ChainLayer((3, 3), (1, 1), 4),)),
    ],
    ids=["NASNet", "DARTS", "chain"],
)
@pytest.mark.parametrize("make", [shared_cells, shared_layers])
def test_a_network_of_another_search_is_refused(architecture, make):
    with pytest.raises(
        InputError, match="only architectures from an ENAS search have shared weights"
    ):
        inherit(build_network(architecture, **SIZE), make().state_dict())


EDGE_CELL = EdgeCellArchitecture(
    ("conv_3x3", "none", "conv_1x1", "identity", "avg_pool_3x3", "conv_3x3")
)


def own_edges(cells):
    return EdgeCellNetwork(
        EDGE_CELL, num_classes=3, channels=3, image_size=8, cells=cells, filters=4
    )


def shared_edges(cells):
    settings = {"num_classes": 3, "channels": 3, "image_size": 8, "cells": cells, "filters": 4}
    return with_values(SharedEdgeCellNetwork(**settings))


def test_an_edge_cell_computes_what_the_search_did():
    network, shared = own_edges(2), shared_edges(2)
    inherited = inherit(network, shared.state_dict())
    assert (inherited.operations, inherited.of) == (3 * 6, 3 * 6)
    network.classifier.load_state_dict(shared.classifier.state_dict())
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(images), shared(images, EDGE_CELL))


def test_edge_cells_without_a_counterpart_stay_as_they_are():
    inherited = inherit(own_edges(2), shared_edges(1).state_dict())
    assert (inherited.operations, inherited.of) == (3 * 3, 3 * 6)


def test_an_architecture_of_the_other_space_gets_nothing_but_the_stem():
    for network, shared in (
        (own_cells(random_cells(0)), shared_layers(filters=3 * FILTERS + 2)),
        (own_layers(random_layers(0)), shared_cells()),
    ):
        with pytest.raises(InputError, match="none of the shared weights fits"):
            inherit(network, shared.state_dict())


def test_shared_weights_are_told_from_those_of_networks():
    for shared in (shared_cells(), shared_layers(), shared_edges(1)):
        assert are_shared(shared.state_dict())
    for network in (own_cells(random_cells(0)), own_layers(random_layers(0))):
        assert not are_shared(network.state_dict())
    for architecture in (
        load_architecture("nasnet_a"),
        load_architecture("nas_2017"),
        EdgeCellArchitecture(("conv_3x3",) * 6),
    ):
        assert not are_shared(build_network(architecture, **SIZE).state_dict())
