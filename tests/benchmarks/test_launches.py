"""The released searches launch few operations, and a weights step never waits for the device."""

from functools import partial
from statistics import fmean

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.launches import BATCH, CountLaunches, MetaSearch, count
from lightning_nas.layers.convolutions import AveragePool, Conv2d, FactorizedReduction, MaxPool
from lightning_nas.layers.shared import BatchStatistics
from lightning_nas.modules.optimizers import ALIGNMENT

MOST = {"micro": 1178.2, "macro": 480}  # launches of a weights step
FIRST = {"micro": 1130, "macro": 510}  # the same for the first two architectures
ARCHITECTURES = 10  # the mean of two differs from that of ten by up to 5 %


class RefuseTransfers(TorchDispatchMode):
    """Mode that refuses operations from another device to the CPU."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        given, result = (
            {leaf.device.type for leaf in tree_leaves(leaves) if isinstance(leaf, torch.Tensor)}
            for leaves in ((args, kwargs), out)
        )
        assert given <= {"cpu"} or (result and "cpu" not in result) or not result, operation
        assert operation.overloadpacket.__name__ != "_local_scalar_dense"
        return out


@pytest.fixture(scope="module", params=["micro", "macro"])
def released(request):
    return request.param, MetaSearch(request.param, ARCHITECTURES)


def test_a_weights_step_takes_few_launches_and_no_transfer(released):
    kind, search = released
    totals = []
    for architecture in search.architectures:
        with RefuseTransfers():
            parts = [count(part) for part in search.step_weights(architecture).values()]
        totals.append(sum(parts))
    assert fmean(totals[:2]) <= FIRST[kind]
    assert fmean(totals) <= MOST[kind]


def test_a_validation_batch_takes_the_launches_of_one_score(released):
    _, search = released
    alone = [count(partial(search.score, one)) for one in search.architectures]
    first, second = search.validate()
    assert second == alone[1] + 1  # its mean
    sampling = (first - alone[0]) / search.validation_batches
    assert fmean(alone[:2]) + sampling <= 470
    assert fmean(alone) + sampling <= 503


def test_all_weights_are_aligned_except_on_a_cpu(released):
    _, search = released
    flat, starts = search.optimizer.flat, search.optimizer.starts
    assert all(start * flat.element_size() % ALIGNMENT == 0 for start in starts)
    assert [p.storage_offset() for p in search.optimizer.parameters] == starts


def test_scoring_switches_few_modules(released):
    _, search = released
    supernet = search.search.supernet
    before = [module.training for module in supernet.modules()]
    with supernet._scoring():
        inside = [module.training for module in supernet.modules()]
    assert sum(a != b for a, b in zip(before, inside, strict=True)) <= 10
    assert [module.training for module in supernet.modules()] == before


@pytest.mark.parametrize(
    ("layer", "launches"),
    [
        (
            lambda: FactorizedReduction(4, 6, BatchStatistics("batch").norm),
            5,
        ),  # a cut instead of a shift
        (lambda: Conv2d(4, 6, 1, 2), 1),
        (lambda: AveragePool(2), 1),
        (lambda: MaxPool(2), 1),
    ],
    ids=["reduction", "1x1", "average", "max"],
)
def test_the_detours_for_cpus_are_not_taken_elsewhere(layer, launches):
    with torch.device("meta"):
        built: nn.Module = layer()
        x = torch.empty(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), CountLaunches() as mode:
        assert built(x).shape[2:] == (4, 4)
    assert mode.total == launches, mode.counts


def test_the_batches_are_those_of_the_released_scripts():
    assert BATCH == {"micro": 160, "macro": 128}
