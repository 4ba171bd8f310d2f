"""Order of images by seed, epoch and rank, independent of global random states."""

import itertools
import random

import numpy as np
import pytest
import torch

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.images import Normalise
from lightning_nas.data.loader import ImageLoader, MemorySource
from lightning_nas.errors import InputError

CPU = torch.device("cpu")


def make_loader(number: int = 50, batch_size: int = 8, **settings) -> ImageLoader:
    """Return a loader of images whose labels are their own numbers."""
    images = torch.randint(
        256, (number, 4, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    source = MemorySource(images, torch.arange(number), CPU)
    normalise = Normalise([0.0] * 3, [1.0] * 3, 4, CPU)
    return ImageLoader(source, torch.arange(number), batch_size, normalise, **settings)


def join_labels(batches) -> list[int]:
    return torch.cat([labels for _, labels in batches]).tolist()


def join_images(batches) -> torch.Tensor:
    return torch.cat([images for images, _ in batches])


def test_training_batches_are_full_and_shuffled():
    batches = list(make_loader(shuffle=True))
    assert [len(labels) for _, labels in batches] == [8] * 6
    assert len(make_loader(shuffle=True)) == 6
    assert len(set(join_labels(batches))) == 48
    assert join_labels(batches) != sorted(join_labels(batches))


def test_a_split_smaller_than_a_batch_is_one_batch():
    small = make_loader(number=5, shuffle=True)
    assert sorted(join_labels(small)) == [0, 1, 2, 3, 4]
    assert len(small) == len(list(small)) == 1


def test_evaluation_has_each_image_once_in_order():
    evaluation = make_loader()
    assert join_labels(evaluation) == list(range(50))
    assert len(evaluation) == len(list(evaluation)) == 7
    assert max(len(labels) for _, labels in evaluation) <= 8


def test_order_and_augmentation_depend_only_on_seed_and_epoch():
    def run(seed: int, epoch: int) -> tuple[list[int], torch.Tensor]:
        one = make_loader(shuffle=True, augmentation=Augmentation(pad=2), seed=seed)
        one.set_epoch(epoch)
        batches = list(one)
        return join_labels(batches), join_images(batches)

    first, again = run(0, 3), run(0, 3)
    assert first[0] == again[0]
    assert torch.equal(first[1], again[1])
    for other in (run(0, 4), run(1, 3)):
        assert first[0] != other[0]


def test_augmentation_differs_from_epoch_to_epoch():
    one = make_loader(
        augmentation=Augmentation(pad=2)
    )  # in order: only the augmentation can differ
    first = join_images(one)
    one.set_epoch(1)
    assert not torch.equal(join_images(one), first)


def test_the_epoch_is_read_at_the_first_batch():
    early, late = make_loader(shuffle=True), make_loader(shuffle=True)
    iterator = iter(early)
    early.sampler.set_epoch(5)
    late.set_epoch(5)
    assert join_labels(iterator) == join_labels(late)


@pytest.mark.parametrize("world_size", [2, 3])
def test_training_shares_are_disjoint_and_equally_long(world_size):
    shares = [
        join_labels(make_loader(batch_size=4, shuffle=True, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert len({len(share) for share in shares}) == 1
    together = list(itertools.chain(*shares))
    assert len(set(together)) == len(together) >= 48


def test_training_shares_smaller_than_a_batch_are_equally_long():
    shares = [
        join_labels(make_loader(number=5, shuffle=True, rank=rank, world_size=2)) for rank in (0, 1)
    ]
    assert [len(share) for share in shares] == [2, 2]


@pytest.mark.parametrize(("number", "world_size"), [(50, 2), (49, 2), (33, 2), (50, 3)])
def test_evaluation_shares_have_each_image_once_in_equally_many_batches(number, world_size):
    shares = [
        list(make_loader(number=number, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert sorted(itertools.chain(*map(join_labels, shares))) == list(range(number))
    assert len({len(batches) for batches in shares}) == 1
    assert min(len(labels) for batches in shares for _, labels in batches) >= 1


def test_each_rank_has_its_own_augmentation():
    images = torch.arange(64, dtype=torch.uint8).view(1, 8, 8, 1).expand(40, 8, 8, 1)
    source = MemorySource(images, torch.zeros(40, dtype=torch.int64), CPU)
    settings = {"augmentation": Augmentation(pad=2), "shuffle": True, "world_size": 2}
    first, second = (
        join_images(
            ImageLoader(
                source, torch.arange(40), 8, Normalise([0], [1], 8, CPU), rank=rank, **settings
            )
        )
        for rank in range(2)
    )
    assert first.shape == second.shape
    assert not torch.equal(first, second)


def test_endless_loader_joins_passes_and_shuffles_each():
    batches = list(itertools.islice(make_loader(number=20, batch_size=8, endless=True), 10))
    assert [len(labels) for _, labels in batches] == [8] * 10
    passes = np.array(join_labels(batches)).reshape(4, 20)
    assert all(sorted(turn) == list(range(20)) for turn in passes.tolist())
    assert len({tuple(turn) for turn in passes.tolist()}) == 4


def test_endless_loader_repeats_a_split_smaller_than_a_batch():
    (_, labels), *_ = itertools.islice(make_loader(number=5, batch_size=12, endless=True), 1)
    assert len(labels) == 12
    assert sorted(labels[:5].tolist()) == sorted(labels[5:10].tolist()) == [0, 1, 2, 3, 4]


def test_endless_shares_are_disjoint_within_a_pass():
    shares = [
        itertools.islice(make_loader(40, 4, endless=True, rank=rank, world_size=2), 5)
        for rank in (0, 1)
    ]
    assert sorted(itertools.chain(*map(join_labels, shares))) == list(range(40))


def test_global_random_states_stay_unchanged():
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    augmentation = Augmentation(pad=1, flip=True, cutout=2)
    list(make_loader(shuffle=True, augmentation=augmentation))
    list(itertools.islice(make_loader(endless=True), 9))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


def test_order_is_independent_of_the_global_seed():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = join_labels(make_loader(shuffle=True))
        torch.manual_seed(2)
        assert join_labels(make_loader(shuffle=True)) == first


def test_batches_are_channels_last_floats_and_int64_labels():
    for settings in ({"shuffle": True}, {}, {"endless": True}):
        images, labels = next(iter(make_loader(**settings)))
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert labels.dtype == torch.int64


def test_fewer_images_than_processes_are_refused():
    with pytest.raises(InputError, match="2 images are too few for 3 processes"):
        make_loader(number=2, endless=True, world_size=3)


@pytest.mark.parametrize("batch_size", [2, 3, 8])
@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_no_batch_has_a_single_image(batch_size, world_size, shuffle):
    for number in range(2 * world_size, 30):
        for rank in range(world_size):
            loader = make_loader(
                number, batch_size, shuffle=shuffle, rank=rank, world_size=world_size
            )
            sizes = [len(labels) for _, labels in loader]
            assert len(sizes) == len(loader)
            assert min(sizes) >= 2
            assert max(sizes) <= (batch_size if batch_size > 3 else 4)


def test_batches_of_one_image_are_those_that_were_asked_for():
    assert [len(labels) for _, labels in make_loader(3, 1)] == [1, 1, 1]
