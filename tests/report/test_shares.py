"""The shares of operations and skips, by hand and on random architectures of each space."""

import random

import pytest

from lightning_nas.architecture import ChainArchitecture, ChainLayer, MacroArchitecture, MacroLayer
from lightning_nas.published import load_architecture
from lightning_nas.report.shares import count_shares, list_choices
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace

SPACES = [CellSpace(blocks=2), ChainSpace(layers=4), EdgeCellSpace(), MacroSpace(layers=4)]


def test_every_kind_of_architecture_has_its_choices():
    cells = list_choices(load_architecture("enas_micro"))
    assert {name: len(options) for name, options in cells.items()} == {
        "operations": 20, "inputs": 20,
    }  # fmt: skip
    macro = list_choices(load_architecture("enas_macro"))
    layers = load_architecture("enas_macro").layers
    assert macro["skips"].count("taken") == sum(len(layer.skips) for layer in layers)
    assert len(macro["skips"]) == 24 * 23 / 2
    chain = list_choices(load_architecture("nas_2017"))
    assert {name: len(options) for name, options in chain.items()} == {
        "windows": 15, "filters": 15, "skips": 105,
    }  # fmt: skip


def test_of_macro_networks():
    one = MacroArchitecture((MacroLayer("conv_3x3"), MacroLayer("conv_5x5", (0,))))
    other = MacroArchitecture((MacroLayer("conv_3x3"), MacroLayer("conv_3x3")))
    found = count_shares([one, other])
    assert found == {"operations/conv_3x3": 0.75, "operations/conv_5x5": 0.25, "skips": 0.5}


def test_of_a_chain():
    layers = [ChainLayer((3, 5), (1, 1), 8), ChainLayer((1, 1), (1, 1), 8, (0,))]
    layers.append(ChainLayer((1, 1), (1, 1), 8, (1,)))
    found = count_shares([ChainArchitecture(tuple(layers))])
    assert found == pytest.approx(
        {"operations/3x5": 1 / 3, "operations/1x1": 2 / 3, "skips": 2 / 3}
    )


def test_of_a_cell_both_cells_count_and_there_are_no_skips():
    found = count_shares([load_architecture("nasnet_a")])
    assert found["operations/sep_conv_3x3"] == 4 / 20
    assert "skips" not in found


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_shares_of_random_architectures_sum_to_one(space):
    draw = random.Random(0)
    tokens = [[draw.randrange(n) for n in space.token_options()] for _ in range(20)]
    found = count_shares(space.decode(given) for given in tokens)
    assert sum(v for name, v in found.items() if name != "skips") == pytest.approx(1)
    assert 0 <= found.get("skips", 0) <= 1
