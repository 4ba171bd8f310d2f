"""Shares of operations and skips, shares over a search, and the collapse of a controller."""

import dataclasses
import random
from collections import Counter

import pytest

from lightning_nas.architecture import ChainArchitecture, ChainLayer, MacroArchitecture, MacroLayer
from lightning_nas.published import load_architecture
from lightning_nas.report import shares
from lightning_nas.report.comparison import split_into_parts
from lightning_nas.report.record import read_run
from lightning_nas.report.shares import (
    choose_evenly,
    count_shares,
    find_collapse,
    list_choices,
    trace_shares,
)
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.storage.trial import POLICY
from tests.report.folders import growing_search, shared_search, trial_search

SPACES = [CellSpace(blocks=2), ChainSpace(layers=4), EdgeCellSpace(), MacroSpace(layers=4)]


def test_choices_of_published_architectures_are_complete():
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


def test_shares_of_macro_networks():
    one = MacroArchitecture((MacroLayer("conv_3x3"), MacroLayer("conv_5x5", (0,))))
    other = MacroArchitecture((MacroLayer("conv_3x3"), MacroLayer("conv_3x3")))
    found = count_shares([one, other])
    assert found == {"operations/conv_3x3": 0.75, "operations/conv_5x5": 0.25, "skips": 0.5}


def test_shares_of_a_chain():
    layers = [ChainLayer((3, 5), (1, 1), 8), ChainLayer((1, 1), (1, 1), 8, (0,))]
    layers.append(ChainLayer((1, 1), (1, 1), 8, (1,)))
    found = count_shares([ChainArchitecture(tuple(layers))])
    assert found == pytest.approx(
        {"operations/3x5": 1 / 3, "operations/1x1": 2 / 3, "skips": 2 / 3}
    )


def test_shares_of_a_cell_count_both_cells_and_have_no_skips():
    found = count_shares([load_architecture("nasnet_a")])
    assert found["operations/sep_conv_3x3"] == 4 / 20
    assert "skips" not in found


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_shares_of_random_architectures_sum_to_one(space):
    generator = random.Random(0)
    tokens = [[generator.randrange(n) for n in space.count_token_options()] for _ in range(20)]
    found = count_shares(space.decode(given) for given in tokens)
    assert sum(v for name, v in found.items() if name != "skips") == pytest.approx(1)
    assert 0 <= found.get("skips", 0) <= 1


def count_operations(record, trials):
    return Counter(name for trial in trials for name in record.decode(trial.proposal).operations)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return read_run(trial_search(tmp_path_factory.mktemp("trained") / "run"))


def test_shares_over_a_search_are_those_of_its_architectures(trained):
    policy = trained.select_arms(POLICY)
    parts = split_into_parts(policy)
    counts = [count_operations(trained, part) for part in parts]
    assert sum(len(part) for part in parts) == len(policy)
    for name, share in trace_shares(trained)["operations"].items():
        assert share == pytest.approx([count[name] / count.total() for count in counts])


def test_shares_of_long_parts_are_those_of_evenly_spaced_architectures(trained, monkeypatch):
    assert choose_evenly(range(10), 4) == [0, 2, 5, 7]
    assert choose_evenly(range(3), 4) == [0, 1, 2]
    monkeypatch.setattr(shares, "DECODED", 3)
    counts = [
        count_operations(trained, choose_evenly(part, 3))
        for part in split_into_parts(trained.select_arms(POLICY))
    ]
    for name, share in trace_shares(trained)["operations"].items():
        assert share == pytest.approx([count[name] / 18 for count in counts])


def test_sampling_one_architecture_again_and_again_is_a_collapse(tmp_path):
    collapse = find_collapse(read_run(shared_search(tmp_path / "run", same=True)))
    assert (collapse.is_collapsed, collapse.same) == (True, 1.0)


def test_low_entropy_is_a_collapse_and_high_entropy_is_none(tmp_path):
    record = read_run(shared_search(tmp_path / "run"))
    assert not find_collapse(record).is_collapsed
    metrics = [{**row, "controller/entropy_epoch": 0.1} for row in record.metrics]
    assert find_collapse(dataclasses.replace(record, metrics=tuple(metrics))).is_collapsed


def test_in_a_growing_space_the_entropy_is_not_compared_with_that_of_the_first_space(tmp_path):
    collapse = find_collapse(read_run(growing_search(tmp_path / "run")))
    assert (collapse.is_collapsed, collapse.entropy) == (False, None)
