"""What a test of a network records: confusion matrix and most confident mistakes."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lightning_nas.callbacks.record_test import MISTAKES, RecordTest
from lightning_nas.data.image_folder import ImageFolder
from lightning_nas.modules.child import ChildModule
from lightning_nas.run.testing import evaluate_on_test
from lightning_nas.storage.run_folder import RunFolder
from tests.small import CONSTANT, synthetic, trainer


class Answers(nn.Module):
    """Network whose answers are given by the brightness of the image, often wrongly."""

    def __init__(self, classes):
        super().__init__()
        self.linear = nn.Linear(1, classes)

    def forward(self, images):
        return self.linear(images.mean(dim=(1, 2, 3), keepdim=True).flatten(1))


def record_of(network, data, folder):
    module = ChildModule(network, data.num_classes, torch.optim.SGD, CONSTANT)
    record = RecordTest()
    testing = trainer(folder, 1, [record])
    (result,) = testing.test(module, datamodule=data, verbose=False)
    return record, result["test/accuracy"]


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    data = synthetic(400)
    torch.manual_seed(0)
    network = Answers(4)
    return data, network, *record_of(network, data, tmp_path_factory.mktemp("tested"))


def test_the_confusion_matrix_counts_every_test_image(tested):
    data, network, record, accuracy = tested
    images = torch.cat([batch for batch, _ in data.test_dataloader()])
    labels = torch.cat([labels for _, labels in data.test_dataloader()])
    answers = network(images).argmax(1)
    expected = torch.zeros(4, 4, dtype=torch.int64)
    for label, answer in zip(labels.tolist(), answers.tolist(), strict=True):
        expected[label, answer] += 1
    assert torch.equal(record.confusion_KK, expected)
    assert accuracy == pytest.approx(expected.trace().item() / expected.sum().item())


def test_the_mistakes_are_the_most_confident_ones(tested):
    data, network, record, _ = tested
    images = torch.cat([batch for batch, _ in data.test_dataloader()])
    labels = torch.cat([labels for _, labels in data.test_dataloader()])
    confidences, answers = network(images).softmax(1).max(1)
    wrong = confidences[answers != labels].sort(descending=True).values[:MISTAKES]
    assert torch.allclose(record.mistakes.confidence_N, wrong)
    assert (record.mistakes.label_N != record.mistakes.predicted_N).all()
    places = data.splits.test[record.mistakes.place_N]
    assert torch.equal(record.mistakes.label_N, data._data.labels[places])
    stored = data._make_normalise()(data.stored_images[places])
    assert torch.equal(record.mistakes.images_NCHW, stored)
    shown = network(record.mistakes.images_NCHW).softmax(1).max(1).values
    assert torch.allclose(shown, record.mistakes.confidence_N)


def test_a_perfect_network_has_no_mistakes(tmp_path):
    data = synthetic(100)
    patterns = torch.stack(
        [
            torch.cat([i for i, _ in data.train_dataloader()])[
                torch.cat([n for _, n in data.train_dataloader()]) == label
            ].mean(0)
            for label in range(4)
        ]
    )

    class Nearest(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, images):
            return -self.scale * (images[:, None] - patterns).square().mean(dim=(2, 3, 4))

    record, accuracy = record_of(Nearest(), data, tmp_path)
    assert accuracy == 1
    assert record.mistakes is None
    assert record.confusion_KK.trace() == record.confusion_KK.sum()


def test_each_mistake_of_image_files_names_its_file(tmp_path):
    root, random = tmp_path / "images", np.random.default_rng(0)
    for folder in (root / split / name for split in ("train", "test") for name in "abc"):
        folder.mkdir(parents=True)
        for name in [*"01234567", "caf\udce9 <b>"]:
            pixels = random.integers(256, size=(8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}.png")
    data = ImageFolder(root=root, batch_size=4, validation=0.25)
    data.setup()
    module = ChildModule(Answers(3), 3, torch.optim.SGD, CONSTANT)
    folder = RunFolder(tmp_path)
    evaluate_on_test(trainer(tmp_path, 1), module, data, folder)
    mistakes = folder.read_test_record()["mistakes"]
    assert len(mistakes) == MISTAKES
    pixels = np.asarray(Image.open(folder.mistakes))
    for column, one in enumerate(mistakes):
        path = one["path"].replace(r"\xe9", "\udce9")
        assert path.startswith(f"test/{data.classes[one['label']]}/")
        shown = pixels[:, 8 * column : 8 * column + 8]
        assert np.array_equal(np.asarray(Image.open(root / path)), shown)
