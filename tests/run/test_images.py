"""Commands on folders of images: what is tested, and what happens to unreadable images."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import run, succeed
from omegaconf import OmegaConf
from PIL import Image

from lightning_nas.run.network_settings import choose_test_settings

FOLDER = "lightning_nas.data.image_folder.ImageFolder"
QUIET = ["callbacks.progress=null", "logger=csv"]
SMALL = ["architecture=nasnet_a", "network.cells=1", "network.filters=8", "trainer.max_epochs=1"]
IMAGES = "data=image_folder"


def choose(weights: Path, root: Path, channels: int = 3, target: str = FOLDER) -> dict:
    cfg = OmegaConf.create(
        {"weights": str(weights), "data": {"_target_": target, "root": str(root)}}
    )
    return choose_test_settings(cfg, SimpleNamespace(channels=channels))


@pytest.fixture
def trained(tmp_path):
    """A run folder of a training on ``tmp_path / "images"``, and nothing but its configuration."""
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    (tmp_path / "run" / ".hydra" / "hydra.yaml").write_text("hydra: {}\n")
    config = {"data": {"_target_": FOLDER, "root": str(tmp_path / "images")}}
    OmegaConf.save(OmegaConf.create(config), tmp_path / "run" / ".hydra" / "config.yaml")
    return tmp_path / "run"


def test_only_the_folder_of_the_training_keeps_its_held_out_test_images(tmp_path, trained):
    same = tmp_path / "images"
    for weights in (trained, trained / "checkpoints" / "best.ckpt"):
        assert choose(weights, same)["test_only"] is False
        assert choose(weights, tmp_path / "run" / ".." / "images")["test_only"] is False
        assert choose(weights, tmp_path / "other")["test_only"] is True
    assert choose(tmp_path / "weights.safetensors", same)["test_only"] is True


def test_grey_images_are_tested_as_rgb_by_a_network_for_rgb(tmp_path, trained):
    assert choose(trained, tmp_path)["channels"] == 3
    assert "channels" not in choose(trained, tmp_path, channels=1)  # colour would be lost


def test_other_data_keep_their_settings(tmp_path, trained):
    assert choose(trained, tmp_path, target="lightning_nas.data.digits.Digits") == {}


def write_images(root: Path, number: int, mode: str = "RGB") -> Path:
    """Write images of two classes that a network can tell apart."""
    generator = np.random.default_rng(0)
    for label, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for index in range(number):
            pixels = generator.integers(0, 60, (8, 8, 3), dtype=np.uint8) + np.uint8(150 * label)
            Image.fromarray(pixels).convert(mode).save(root / name / f"{index:03}.png")
    return root


def summary_of(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.slow
def test_a_training_a_test_and_a_prediction_on_folders(tmp_path):
    images, run_folder = write_images(tmp_path / "images", 40), tmp_path / "run"
    bad = images / "dog" / "007.png"
    bad.write_bytes(bad.read_bytes()[:-30])
    train = ["train.py", *QUIET, *SMALL, IMAGES, f"data.root={images}"]
    status, _, errors = run(*train, f"hydra.run.dir={tmp_path / 'refused'}")
    assert status == 2
    assert errors.startswith(f"error: cannot read the image {bad}: ")
    assert "data.skip_unreadable=true" in errors
    assert not (tmp_path / "refused").exists()
    output = succeed(*train, "data.skip_unreadable=true", f"hydra.run.dir={run_folder}")
    sizes = "64 train / 7 validation / 8 test images (split by seed 0), 8x8 RGB"
    assert output.startswith(f"data: 2 classes, {sizes}")
    assert "left out: 1 unreadable image" in output
    assert summary_of(run_folder)["left_out"] == {"unreadable images": 1}
    log = (run_folder / "train.log").read_text()
    assert "for so few images, recipe=small may be more accurate" in log
    weights = f"weights={run_folder}"
    tested = succeed("train.py", *QUIET, "mode=test", weights, f"hydra.run.dir={tmp_path / 'a'}")
    assert "/ 8 test images" in tested
    assert summary_of(tmp_path / "a")["test_accuracy"] == summary_of(run_folder)["test_accuracy"]
    other = write_images(tmp_path / "other", 20, mode="L")
    test_other = ["mode=test", weights, IMAGES, f"data.root={other}"]
    tested = succeed("train.py", *QUIET, *test_other, f"hydra.run.dir={tmp_path / 'b'}")
    assert tested.startswith("data: 2 classes, 40 test images, 8x8 RGB")
    (other / "caf\udce9.png").write_bytes(b"not an image")
    (other / ".hidden.png").write_bytes(b"not an image")
    predict = ["mode=predict", weights, f"images={other}"]
    output = succeed("train.py", *QUIET, *predict, f"hydra.run.dir={tmp_path / 'c'}")
    assert output.startswith("data: 41 images, 8x8 RGB; left out: 1 hidden file")
    assert "1 image, listed with their errors in the predictions" in output
    with (tmp_path / "c" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 41
    assert [row["file"] for row in rows if row["error"]] == [rf"{other}/caf\xe9.png"]
