"""The test of a network: its accuracy, its confusion matrix and its most confident mistakes."""

import logging
from typing import Any

from pytorch_lightning import Trainer

from lightning_nas.callbacks.record_test import RecordTest
from lightning_nas.data.base import ImageData
from lightning_nas.files import write_json
from lightning_nas.modules.child import ChildModule
from lightning_nas.pictures.sheet import write_sheet
from lightning_nas.report.statistics import find_accuracy_interval
from lightning_nas.storage.run_folder import RunFolder

log = logging.getLogger(__name__)


def evaluate_on_test(
    trainer: Trainer,
    module: ChildModule,
    data: ImageData,
    folder: RunFolder,
    checkpoint: str | None = None,
) -> float:
    """Test a network on the test split, write ``test.json`` and ``mistakes.png``.

    Args:
        trainer: Trainer of the test.
        module: Module with the network.
        data: Data with the test images.
        folder: Run folder to write into.
        checkpoint: Checkpoint to load before; None = the weights of the module.

    Returns:
        The accuracy in [0, 1].
    """
    record = RecordTest()
    trainer.callbacks.append(record)  # type: ignore[attr-defined]
    (result,) = trainer.test(
        module, datamodule=data, ckpt_path=checkpoint, verbose=False, weights_only=True
    )
    accuracy: float = result["test/accuracy"]
    if trainer.is_global_zero and record.confusion_KK is not None:
        _write_record(record, data, folder)
        images = int(record.confusion_KK.sum())
        warn_of_guessing(accuracy, images, data.largest_share, "test")
    return accuracy


def _write_record(record: RecordTest, data: ImageData, folder: RunFolder) -> None:
    assert record.confusion_KK is not None
    facts: dict[str, Any] = {
        "classes": data.classes,
        "confusion": record.confusion_KK.tolist(),
        "mistakes": [],
    }
    if record.mistakes is None:
        folder.mistakes.unlink(missing_ok=True)
    else:
        numbers = (part.tolist() for part in record.mistakes[:4])
        for confidence, predicted, label, place in zip(*numbers, strict=True):
            one = {"label": label, "predicted": predicted, "probability": round(confidence, 4)}
            if path := data.find_path(int(data.splits.test[place])):
                one["path"] = path
            facts["mistakes"].append(one)
        pixels_NHWC = data.show_pixels(record.mistakes.images_NCHW)
        write_sheet(folder.mistakes, pixels_NHWC[None])
    write_json(folder.test_record, facts, indent=0)


def warn_of_guessing(accuracy: float, images: int, largest_share: float, kind: str) -> None:
    """Warn if a network is not measurably better than always answering the largest class.

    Args:
        accuracy: Accuracy of the network in [0, 1].
        images: Number of images that it was measured on.
        largest_share: Share of the largest class, in (0, 1].
        kind: Kind of these images, "test" or "validation".
    """
    if not images or beats_guessing(accuracy, images, largest_share):
        return
    log.warning(
        "the network is not measurably better than guessing: it classifies %.1f %% of %d %s images "
        "correctly, and always answering the largest class %.1f %%; train longer, or with another "
        "learning rate",
        *(100 * accuracy, images, kind, 100 * largest_share),
    )


def beats_guessing(accuracy: float, images: int, largest_share: float) -> bool:
    """Return whether an accuracy is measurably higher than the share of the largest class.

    Args:
        accuracy: Accuracy in [0, 1].
        images: Number of images that it was measured on, at least 1.
        largest_share: Share of the largest class, in (0, 1].
    """
    return find_accuracy_interval(round(accuracy * images), images)[0] > largest_share
