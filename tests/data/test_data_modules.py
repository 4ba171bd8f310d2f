"""Common behaviour of all data modules, on digits and generated images, and their configs."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning import LightningModule, Trainer

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.base import ImageData
from lightning_nas.data.digits import Digits
from lightning_nas.data.synthetic import Synthetic
from lightning_nas.errors import InputError

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "data").glob("*.yaml"))


def set_up(data: ImageData) -> ImageData:
    data.prepare_data()
    data.setup()
    return data


def make_synthetic(**settings) -> Synthetic:
    return set_up(Synthetic(**({"batch_size": 16, "validation": 0.25} | settings)))


def join_batches(loader) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_digits_are_complete():
    data = set_up(Digits(batch_size=64, validation=0.2))
    assert data.split_sizes == {"train": 1150, "validation": 288, "test": 359}
    assert (data.num_classes, data.channels, data.image_size) == (10, 1, 8)
    assert data.classes == list("0123456789")
    assert len(data.train_dataloader()) == 17
    _, labels = join_batches(data.test_dataloader())
    assert torch.bincount(labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]


def test_digits_keep_their_17_grey_levels():
    data = set_up(Digits(batch_size=64, validation=0.2, mean=[0], std=[1]))
    images, _ = join_batches(data.val_dataloader())
    assert torch.allclose(images.unique(), torch.arange(17) / 16, atol=0.002)


def test_the_training_split_is_normalised():
    data = set_up(Digits(batch_size=1150, validation=0.2))
    images, _ = join_batches(data.train_dataloader())
    assert abs(images.mean().item()) < 1e-4
    assert images.std().item() == pytest.approx(1, abs=1e-3)


def test_synthetic_classes_can_be_separated():
    data = make_synthetic(images=400)
    images, labels = join_batches(data.train_dataloader())
    centres = torch.stack([images[labels == c].mean(0) for c in range(4)]).flatten(1)
    images, labels = join_batches(data.test_dataloader())
    guesses = torch.cdist(images.flatten(1), centres).argmin(1)
    assert (guesses == labels).float().mean() > 0.95


def test_synthetic_sizes_are_settings():
    data = make_synthetic(images=60, num_classes=3, image_size=5, channels=1)
    assert (data.num_classes, data.channels, data.image_size) == (3, 1, 5)
    assert sum(data.split_sizes.values()) == 60


def test_setup_is_idempotent():
    data = make_synthetic()
    before = data.splits
    data.setup("fit")
    data.setup("test")
    assert data.splits is before


def test_validation_images_are_trained_on_only_with_train_on_all():
    kept = make_synthetic(train_on_all=False, noise=0.3)
    final = make_synthetic(train_on_all=True, noise=0.3)
    validation, train = kept.split_sizes["validation"], kept.split_sizes["train"]
    assert final.split_sizes["train"] == train + validation
    assert final.split_sizes["validation"] == validation
    assert torch.equal(final.splits.validation, kept.splits.validation)
    seen = set(kept.train_dataloader().indices.tolist())
    assert seen.isdisjoint(kept.splits.validation.tolist())
    assert set(final.train_dataloader().indices.tolist()) == seen | set(
        kept.splits.validation.tolist()
    )


def test_only_training_images_are_augmented():
    class Black(Augmentation):
        def __call__(self, images_NHWC, generator, normalise):
            return normalise(images_NHWC) * 0

    data = make_synthetic(augmentation=Black())
    assert not join_batches(data.train_dataloader())[0].any()
    assert join_batches(data.val_dataloader())[0].any()
    assert join_batches(data.test_dataloader())[0].any()
    assert next(iter(data.controller_dataloader(8)))[0].any()
    assert data.calibration_batch(8)[0].any()


def test_controller_batches_are_full_and_from_the_validation_split():
    data = make_synthetic()
    batches = list(itertools.islice(data.controller_dataloader(24), 7))
    assert [len(labels) for _, labels in batches] == [24] * 7
    known = {image.numpy().tobytes() for image in join_batches(data.val_dataloader())[0]}
    assert {image.numpy().tobytes() for images, _ in batches for image in images} == known


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("smallest", [1, 7, 16, 24, 48, 1000])
def test_validation_batches_have_at_least_the_size_that_is_asked_for(smallest, processes):
    """The split has 64 images."""
    data = make_synthetic()
    images = data.split_sizes["validation"]
    batches = []
    for rank in range(processes):
        data.trainer = SimpleNamespace(
            global_rank=rank,
            world_size=processes,
            strategy=SimpleNamespace(root_device=torch.device("cpu")),
        )
        batches.append([len(labels) for _, labels in data.val_dataloader(smallest)])
    assert len({len(sizes) for sizes in batches}) == 1  # or DDP would wait for ever
    assert sum(map(sum, batches)) == images
    share = images // processes
    most = max(2 * smallest, 3)  # a single last image joins the batch before
    assert all(min(smallest, share) <= n <= most for sizes in batches for n in sizes)


def test_calibration_images_are_training_images_and_do_not_change():
    data = make_synthetic()
    images, labels = data.calibration_batch(30)
    again, _ = data.calibration_batch(30)
    assert len(labels) == 30
    assert torch.equal(images, again)
    assert images.is_contiguous(memory_format=torch.channels_last)
    known = {
        image.numpy().tobytes() for image in join_batches(make_synthetic().train_dataloader())[0]
    }
    whole, _ = data.calibration_batch(10_000)
    assert known <= {image.numpy().tobytes() for image in whole}
    assert len(whole) == data.split_sizes["train"]


def test_given_statistics_are_used():
    data = make_synthetic(mean=[0.0, 0.0, 0.0], std=[2.0, 2.0, 2.0])
    images, _ = join_batches(data.val_dataloader())
    assert images.min() >= 0
    assert images.max() <= 0.5


class Recorder(LightningModule):
    """Module that records the labels of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: dict[int, list[int]] = {}

    def training_step(self, batch, _index):
        """Record the labels."""
        images, labels = batch
        self.seen.setdefault(self.current_epoch, []).extend(labels.tolist())
        return self.layer(images.mean((1, 2, 3))[:, None]).mean()

    def validation_step(self, batch, _index):
        """Check the memory format of validation batches."""
        assert batch[0].is_contiguous(memory_format=torch.channels_last)

    def configure_optimizers(self):
        """Return an optimiser, which Lightning requires."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # Lightning causes it
def test_lightning_sets_the_epoch_of_the_loader(tmp_path):
    data, recorder = make_synthetic(), Recorder()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_epochs=3, accelerator="cpu", default_root_dir=tmp_path, **quiet)
    trainer.fit(recorder, datamodule=data)
    loader = make_synthetic().train_dataloader()
    for epoch in range(3):
        loader.set_epoch(epoch)
        assert recorder.seen[epoch] == join_batches(loader)[1].tolist()
    assert recorder.seen[0] != recorder.seen[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "data.batch_size must be 1 or more, got 0"),
        ({"validation": 1.0}, "data.validation must be a fraction between 0 and 1"),
        ({"validation": 10_000}, "data.validation must be a fraction between 0 and 1"),
        ({"image_size": 0}, "data.image_size must be 1 or more, got 0"),
        ({"images": 0}, "data.images must be 1 or more, got 0"),
        ({"mean": [0.5]}, r"data.mean needs 3 numbers, got \[0.5\]"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        make_synthetic(**settings)


def test_a_controller_batch_below_one_is_refused():
    with pytest.raises(InputError, match="controller's batch size must be 1 or more, got 0"):
        make_synthetic().controller_dataloader(0)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_makes_its_data_module(path, tmp_path, write_class):
    for name in ("cat", "dog"):
        write_class(tmp_path / name, 12)
    config = OmegaConf.create({"seed": 3, "paths": {"data": "/data"}, "data": OmegaConf.load(path)})
    if path.stem == "image_folder":
        assert OmegaConf.is_missing(config.data, "root")
        config.data.root = str(tmp_path)
    data = instantiate(config.data)
    assert isinstance(data, ImageData)
    assert data.seed == 3
    assert isinstance(data.augmentation, Augmentation)
    if path.stem in {"digits", "synthetic", "image_folder"}:
        images, _ = next(iter(set_up(data).train_dataloader()))
        assert images.shape[1:] == (data.channels, data.image_size, data.image_size)
    else:
        assert str(data.root) == f"/data/{path.stem}"


def test_every_data_set_has_a_config():
    assert [path.stem for path in CONFIGS] == [
        "cifar10",
        "cifar100",
        "digits",
        "fashion_mnist",
        "image_folder",
        "synthetic",
    ]
