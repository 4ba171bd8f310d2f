"""The registry of operations: shapes of every operation, and which ones can be added."""

import math

import pytest
import torch
from torch import nn

from lightning_nas import build_network
from lightning_nas.architecture import OPERATION_NAMES, Block, Cell, CellArchitecture
from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import ReluConvNorm
from lightning_nas.layers.operations import (
    ADDED,
    OPERATIONS,
    make_operation,
    register_operation,
    register_operations,
)
from lightning_nas.networks.shared_cell import SharedCellNetwork

REGISTRY = [(rules, name) for rules, names in OPERATIONS.items() for name in names]


@pytest.fixture(autouse=True)
def restored_registry(monkeypatch):
    """Remove what a test registers."""
    for registry in (OPERATIONS, OPERATION_NAMES):
        for rules, names in registry.items():
            monkeypatch.setitem(registry, rules, names.copy())
    monkeypatch.setattr("lightning_nas.layers.operations.ADDED", {})


def my_conv(channels_in, channels_out, stride, norm):
    return ReluConvNorm(channels_in, channels_out, stride, norm, 3)


def in_place(channels_in, channels_out, stride, norm):
    return nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(channels_in, channels_out, 1, stride))


@pytest.mark.parametrize(("rules", "name"), REGISTRY)
def test_every_operation_halves_the_resolution_by_its_stride(rules, name):
    for stride in (1, 2) if rules in ("enas", "darts", "nasnet") else (1,):
        layer = make_operation(rules, name, 4, 4, stride, nn.BatchNorm2d)
        side = math.ceil(7 / stride)
        assert layer(torch.rand(2, 4, 7, 9)).shape == (2, 4, side, math.ceil(9 / stride))


def test_architecture_files_and_networks_know_the_same_operations():
    assert {rules: set(names) for rules, names in OPERATIONS.items()} == {
        rules: set(names) for rules, names in OPERATION_NAMES.items()
    }


@pytest.mark.parametrize("factory", [my_conv, f"{__name__}.my_conv"])
def test_an_added_operation_is_legal_and_built(factory):
    before = torch.get_rng_state()
    register_operations({"enas": {"my_conv": factory}, "nasnet": {"my_conv": factory}})
    assert torch.get_rng_state().equal(before)
    register_operations({"enas": {"my_conv": factory}})  # again: no effect
    register_operations(None)
    assert OPERATION_NAMES["enas"][-1] == "my_conv"
    cell = Cell((Block((0, 1), ("my_conv", "identity")),), outputs=(2,))
    for rules in ("enas", "nasnet"):
        network = build_network(CellArchitecture(cell, cell, 1, 4, rules), num_classes=3)
        assert network(torch.rand(2, 3, 8, 8)).shape == (2, 3)
    shared = SharedCellNetwork(num_classes=3, blocks=1, filters=4, operations=["my_conv"])
    one = Cell((Block((0, 1), ("my_conv", "my_conv")),), outputs=(2,))
    logits, _ = shared(torch.rand(2, 3, 32, 32), CellArchitecture(one, one))
    assert logits.shape == (2, 3)


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        ({"enas": {"identity": my_conv}}, "operations.enas.identity: the name is taken"),
        ({"ENAS": {"my_conv": my_conv}}, "unknown rule set; legal: enas, nasnet"),
        ({"enas": {"my-conv": my_conv}}, "letters, digits and underscores"),
        ({"enas": {"keys": my_conv}}, "operations.enas.keys: torch reserves this name"),
        ({"enas": {"my_conv": "no_module.make"}}, "my_conv=no_module.make: not found"),
        ({"enas": {"my_conv": 3}}, "must be a function or a class, got 3"),
        ({"enas": "my_conv"}, "operations.enas must be a mapping"),
        ({"enas": {"my_conv": in_place}}, "changes its input in place"),
        ({"macro": {"my_conv": lambda *_: nn.Conv2d(8, 4, 1)}}, r"got \(2, 4, 7, 7\)"),
        ({"nasnet": {"my_conv": lambda *_: nn.Identity()}}, r"stride 2 must map .*4, 4"),
        ({"edge": {"my_conv": lambda *_: nn.Conv2d(3, 8, 1)}}, "RuntimeError"),
    ],
)
def test_unusable_operations_are_refused_in_one_line(operations, reason):
    with pytest.raises(InputError, match=reason) as error:
        register_operations(operations)
    assert "\n" not in str(error.value)
    assert "my_conv" not in OPERATIONS["enas"]


def test_an_unknown_operation_is_named_with_the_legal_ones():
    with pytest.raises(
        InputError, match="'swish' is not registered for edge; legal: none, identity"
    ):
        make_operation("edge", "swish", 4, 4, 1, nn.BatchNorm2d)


def test_a_function_registers_one_operation():
    register_operation("edge", "my_conv", my_conv)
    assert make_operation("edge", "my_conv", 4, 4, 1, nn.BatchNorm2d)(torch.rand(2, 4, 5, 5)).any()
    assert ADDED == {}  # the fixture's registry has it
