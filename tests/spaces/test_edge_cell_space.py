"""The space of NAS-Bench-201: all of its 15,625 architectures, files, errors."""

import itertools
import json

import pytest

from lightning_nas import load_architecture
from lightning_nas.architecture import EDGE_OPERATIONS, EdgeCellArchitecture, from_json, to_json
from lightning_nas.errors import InputError
from lightning_nas.spaces.edge_cell import EdgeCellSpace

SPACE = EdgeCellSpace()


def test_all_architectures_round_trip_and_differ():
    every = list(itertools.product(*map(range, SPACE.count_token_options())))
    architectures = [SPACE.decode(tokens) for tokens in every]
    assert [SPACE.encode(architecture) for architecture in architectures] == every
    assert len(set(architectures)) == len(every) == SPACE.size == 15_625


def test_tokens_number_the_operations_of_the_benchmark():
    operations = ("none", "identity", "conv_1x1", "conv_3x3", "avg_pool_3x3", "none")
    assert SPACE.decode([0, 1, 2, 3, 4, 0]) == EdgeCellArchitecture(operations, 16, 5)
    assert EdgeCellSpace(filters=8, cells=2).decode([0] * 6).cells == 2


def test_files_round_trip():
    for operation in EDGE_OPERATIONS:
        architecture = EdgeCellArchitecture(("conv_3x3", *[operation] * 5), filters=8, cells=2)
        assert from_json(to_json(architecture)) == architecture


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operations": ["none"] * 5}, "operations is"),
        ({"operations": ["none"] * 5 + ["conv_5x5"]}, r"operations\[5\] is \"conv_5x5\""),
        ({"filters": 0}, "filters is 0"),
        ({"cells": "5"}, 'cells is "5"'),
        ({"blocks": []}, r"blocks is \[\]"),
    ],
)
def test_the_error_names_the_bad_field(change, message):
    content = json.loads(to_json(SPACE.decode([3] * 6))) | change
    with pytest.raises(InputError, match=message):
        from_json(json.dumps(content))


def test_encode_and_sizes_out_of_range_are_refused():
    with pytest.raises(InputError, match="cell architecture is not in the edge cell space"):
        SPACE.encode(load_architecture("enas_micro"))
    with pytest.raises(InputError, match="filters and cells must be at least 1"):
        EdgeCellSpace(cells=0)
