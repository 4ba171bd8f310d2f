"""The space of NAS-Bench-201: all of it."""

import itertools
import json

import pytest

from lightning_nas import load_architecture
from lightning_nas.architecture import EDGE_OPERATIONS, EdgeCellArchitecture, from_json, to_json
from lightning_nas.errors import InputError
from lightning_nas.spaces.edge_cell import EdgeCellSpace

SPACE = EdgeCellSpace()


def test_every_architecture_comes_back_and_is_another():
    every = list(itertools.product(*map(range, SPACE.token_options())))
    architectures = [SPACE.decode(tokens) for tokens in every]
    assert [SPACE.encode(architecture) for architecture in architectures] == every
    assert len(set(architectures)) == len(every) == SPACE.size == 15_625


def test_tokens_are_the_benchmarks_operations_in_its_order():
    operations = ("none", "identity", "conv_1x1", "conv_3x3", "avg_pool_3x3", "none")
    assert SPACE.decode([0, 1, 2, 3, 4, 0]) == EdgeCellArchitecture(operations, 16, 5)
    assert EdgeCellSpace(filters=8, cells=2).decode([0] * 6).cells == 2


def test_the_file_comes_back():
    for operation in EDGE_OPERATIONS:
        architecture = EdgeCellArchitecture(("conv_3x3", *[operation] * 5), filters=8, cells=2)
        assert from_json(to_json(architecture)) == architecture


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"operations": ["none"] * 5}, "operations is"),
        ({"operations": ["none"] * 5 + ["conv_5x5"]}, r"operations\[5\] is \"conv_5x5\""),
        ({"filters": 0}, "filters is 0"),
        ({"cells": "5"}, 'cells is "5"'),
        ({"blocks": []}, r"blocks is \[\]"),
    ],
)
def test_the_bad_field_is_named(change, named):
    content = json.loads(to_json(SPACE.decode([3] * 6))) | change
    with pytest.raises(InputError, match=named):
        from_json(json.dumps(content))


def test_what_lies_outside_is_refused():
    with pytest.raises(InputError, match="cell architecture is not in the edge cell space"):
        SPACE.encode(load_architecture("enas_micro"))
    with pytest.raises(InputError, match="filters and cells must be at least 1"):
        EdgeCellSpace(cells=0)
