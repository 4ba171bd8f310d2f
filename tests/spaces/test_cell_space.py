"""The cell space: order of decisions, meaning of tokens, errors."""

import pytest

from lightning_nas import load_architecture
from lightning_nas.architecture import COMBINATIONS, NASNET_OPERATIONS, Block
from lightning_nas.errors import InputError
from lightning_nas.spaces.base import Choice, Pick
from lightning_nas.spaces.cell import CellSpace


def make_nasnet_space(blocks=5, combinations=COMBINATIONS):
    return CellSpace(blocks, NASNET_OPERATIONS, 6, 32, combinations, "nasnet")


def test_decisions_of_a_block_have_the_order_of_the_paper():
    decisions = [d for d in make_nasnet_space(2).decisions if isinstance(d, Choice | Pick)]
    operation, combination = Choice("operation", 13), Choice("combination", 2)
    cell = [[Pick(n), Pick(n), operation, operation, combination] for n in (2, 3)]
    assert decisions == 2 * [*cell[0], *cell[1]]
    alone = make_nasnet_space(2, combinations=("concat",)).decisions
    assert combination not in alone
    assert Choice("combination", 1) not in alone


def test_tokens_have_the_meaning_of_the_paper():
    architecture = make_nasnet_space(2).decode([1, 0, 0, 12, 1, 2, 2, 1, 7, 0] * 2)
    assert architecture.normal == architecture.reduction
    assert architecture.normal.blocks == (
        Block((1, 0), ("identity", "sep_conv_7x7"), "concat"),
        Block((2, 2), ("conv_1x3_3x1", "max_pool_7x7"), "add"),
    )
    assert architecture.normal.outputs == (3,)
    assert (architecture.cells, architecture.filters, architecture.rules) == (6, 32, "nasnet")
    alone = make_nasnet_space(1, combinations=("concat",)).decode([0, 0, 0, 0] * 2)
    assert alone.normal.blocks == (Block((0, 0), ("identity", "identity"), "concat"),)


@pytest.mark.parametrize(
    "settings",
    [
        {"blocks": 0},
        {"rules": "amoeba"},
        {"operations": ["conv_1x1"]},
        {"operations": []},
        {"operations": ["identity", "identity"]},
        {"combinations": ["concat"]},
        {"combinations": [], "rules": "nasnet"},
        {"combinations": ["multiply"], "rules": "nasnet"},
    ],
)
def test_errors_name_the_bad_setting(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        CellSpace(**settings)


def test_encode_names_what_is_not_in_the_space():
    with pytest.raises(InputError, match="rules are enas, not nasnet"):
        make_nasnet_space().encode(load_architecture("enas_micro"))
    with pytest.raises(InputError, match="normal cell's outputs"):
        make_nasnet_space().encode(load_architecture("nasnet_a"))
    concatenated = make_nasnet_space(1).decode([0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    with pytest.raises(InputError, match=r"normal.blocks\[0\] has 'concat'"):
        make_nasnet_space(1, combinations=["add"]).encode(concatenated)
