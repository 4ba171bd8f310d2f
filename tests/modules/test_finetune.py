"""Fine-tuning pays: what is learned on some digits helps with others, of which there are few."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from lightning_nas.callbacks.saving import SaveEpoch
from lightning_nas.data.digits import Digits
from lightning_nas.data.images import LabelledImages
from lightning_nas.modules.child import ChildModule
from lightning_nas.modules.schedules import cosine
from lightning_nas.published import load_architecture
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.load import load_weights, read_weights
from tests.small import trainer

SEEDS = range(3)
FEW = 8  # images of each class to be fine-tuned on
TESTED = 60  # most images of each class to test on
BEFORE, EPOCHS = 2, 6  # of training, of fine-tuning
BATCH = 16
MARGIN = 0.15  # by which fine-tuning is better at least, on average over the seeds


class SomeDigits(Digits):
    """Those of some classes; perhaps with a few images of each alone to train on.

    Args:
        digits: The classes.
        each: Images of each class that are not for testing; None = half of them.
        settings: Those of any images.
    """

    def __init__(self, digits, each=None, **settings):
        super().__init__(batch_size=BATCH, **settings)
        self.digits = list(digits)
        self.each = each

    def read(self):
        """Return them, drawn by the seed."""
        data = super().read()
        draws = torch.Generator().manual_seed(self.seed)
        picked, test, start = [], [], 0
        for digit in self.digits:
            own = (data.labels == digit).nonzero()[:, 0]
            kept = len(own) // 2 if self.each is None else self.each
            own = own[torch.randperm(len(own), generator=draws)][: kept + TESTED]
            picked.append(own)
            test.append(torch.arange(start + kept, start + len(own)))
            start += len(own)
        index = torch.cat(picked)
        labels = torch.tensor([self.digits.index(label) for label in data.labels[index].tolist()])
        classes = [data.classes[digit] for digit in self.digits]
        return LabelledImages(data.images[index], labels, classes, test=torch.cat(test))


def ready(digits, **settings):
    data = SomeDigits(digits, **settings)
    data.prepare_data()
    data.setup()
    return data


def module_for(data, epochs, rate, weights=None):
    """A small network with its training, for images; from weights or from scratch."""
    blueprint = Blueprint(
        load_architecture("enas_micro"),
        {"cells": 1, "filters": 8},
        num_classes=data.num_classes,
        classes=tuple(data.classes),
        channels=data.channels,
        image_size=data.image_size,
        mean=tuple(data.pixel_mean),
        std=tuple(data.pixel_std),
    )
    network = blueprint.build()
    if weights is not None:
        load_weights(network, weights, new_head=True)
    return ChildModule(
        network,
        data.num_classes,
        partial(torch.optim.SGD, lr=rate, momentum=0.9, nesterov=True, weight_decay=1e-4),
        partial(cosine, epochs=epochs),
        blueprint=blueprint,
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Those of a training on the digits 0 to 4 for each seed."""
    return [trained(tmp_path_factory.mktemp("run"), seed) for seed in SEEDS]


def trained(folder, seed):
    """Return the weights of a training on the digits 0 to 4, by way of its checkpoint."""
    pl.seed_everything(seed, verbose=False)
    data = ready(range(5), validation=0.1, seed=seed)
    module = module_for(data, BEFORE, 0.1)
    trainer(folder, BEFORE, [SaveEpoch(folder / "checkpoints")], enable_checkpointing=True).fit(
        module, data.train_dataloader()
    )
    return read_weights(str(folder), folder)


def accuracy(folder, seed, digits, weights=None):
    """Return the accuracy after a few steps on a few images of some digits."""
    pl.seed_everything(seed, verbose=False)
    data = ready(digits, each=FEW + 1, validation=len(digits), seed=seed)
    assert data.split_sizes["train"] == FEW * len(digits)
    module = module_for(data, EPOCHS, 0.05, weights)
    fits = trainer(folder, EPOCHS)
    fits.fit(module, data.train_dataloader())
    assert fits.global_step == EPOCHS * (FEW * len(digits) // BATCH)
    (result,) = fits.test(module, data.test_dataloader(), verbose=False)
    return result["test/accuracy"]


@pytest.mark.parametrize(
    "digits",
    [range(5, 10), pytest.param(range(6, 10), marks=pytest.mark.slow)],
    ids=["as many", "fewer classes"],
)
def test_fine_tuning_beats_the_same_steps_from_scratch_where_images_are_few(
    digits, weights, tmp_path
):
    chance = 1 / len(digits)
    tuned = [accuracy(tmp_path, seed, digits, weights[seed]) for seed in SEEDS]
    scratch = [accuracy(tmp_path, seed, digits) for seed in SEEDS]
    assert sum(scratch) / len(SEEDS) > chance + 0.1  # it learns, too
    assert sum(tuned) / len(SEEDS) > sum(scratch) / len(SEEDS) + MARGIN
    assert all(a > b for a, b in zip(tuned, scratch, strict=True))
