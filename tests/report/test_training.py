"""The page of a training, from a run folder."""

import csv
import json

import pytest
import torch
import yaml
from PIL import Image

from lightning_nas.architecture import write_architecture
from lightning_nas.errors import InputError
from lightning_nas.pictures.sheet import MOST_PIXELS, read_sheet, write_sheet
from lightning_nas.published import load_architecture
from lightning_nas.report.__main__ import main
from lightning_nas.report.html import write_report
from lightning_nas.report.record import NoTrialsError
from tests.report.browser import measure_page
from tests.report.test_html import Page

FILE = f"test/<b>/{'long_' * 30}<script>.jpg"
CONFUSION = [[40, 0, 0], [6, 34, 0], [1, 9, 30]]


def write_training(folder, mode="fit", status="complete", **changes):
    """Write the run folder of a training of three classes on generated images."""
    (folder / ".hydra").mkdir(parents=True)
    config = {"name": "train", "mode": mode, "seed": 7}
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
    summary = {
        "status": status, "seconds": 61.0, "architecture": "enas_micro", "parameters": 77_288,
        "multiply_adds": 5_000_000, "epochs": 3, "largest_share": 1 / 3,
        "data_line": "data: 3 classes, 300 train images", "data_problems": ["only 12 images"],
        "sample_classes": ["cat", "dog"], **changes,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    with (folder / "metrics.csv").open("w", newline="") as file:
        rows = [
            {"epoch": n, "train/loss_epoch": 2 - n / 2, "train/accuracy": 0.5 + n / 10,
             "val/loss": 1.8 - n / 2, "val/accuracy": [0.5, 0.8, 0.7][n]}
            for n in range(3)
        ]  # fmt: skip
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    mistakes = [{"label": 2, "predicted": 1, "probability": 0.99, "path": FILE},
                {"label": 1, "predicted": 0, "probability": 0.8}]  # fmt: skip
    record = {"classes": ["cat", "dog", "<b>"], "confusion": CONFUSION, "mistakes": mistakes}
    (folder / "test.json").write_text(json.dumps(record))
    pixels = torch.randint(256, (2, 4, 8, 8, 3), dtype=torch.uint8)
    write_sheet(folder / "samples.png", pixels)
    write_sheet(folder / "mistakes.png", pixels[:1, :2])
    write_architecture(load_architecture("enas_micro"), folder / "architecture.json")
    return folder


@pytest.fixture
def page(tmp_path):
    return Page(write_report(write_training(tmp_path / "run")).read_text())


def test_the_page_answers_how_accurate_the_network_is(page):
    text = " ".join(" ".join(page.text).split())
    assert "86.7% of 120 test images are classified correctly." in text
    assert "95 % interval: 79.4% to 91.6%. Always answering the largest class" in text
    assert "best validation accuracy 80.0% in epoch 2" in text
    assert "3 classes, 300 train images" in text
    assert "only 12 images" in text


def test_the_page_lists_classes_by_accuracy_and_what_they_are_taken_for(page):
    text = " ".join(" ".join(page.text).split())
    assert "<b> 40 75.0% 59.8% to 85.8% dog (9) dog 40 85.0%" in text
    assert text.index("dog 40") < text.index("cat 40")


def test_the_page_shows_samples_and_mistakes_as_pictures(page):
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert len(sources) == 2 + 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "taken for dog, 99.0%" in " ".join(page.text)


def test_the_page_names_the_files_of_mistakes(page, tmp_path):
    words = " ".join(page.text)
    assert FILE in words
    assert "then its file in the folder of the images ( data.root )" in words
    folder = write_training(tmp_path / "other")
    record = json.loads((folder / "test.json").read_text())
    del record["mistakes"][0]["path"]  # data in memory, and runs of earlier versions
    (folder / "test.json").write_text(json.dumps(record))
    assert "then its file" not in write_report(folder).read_text()


def test_the_page_names_the_next_commands(page, tmp_path):
    text = " ".join(page.text)
    for mode in ("predict", "test", "export"):
        assert f"python train.py mode={mode} weights={tmp_path / 'run'}" in text


def test_a_network_that_guesses_is_called_so(tmp_path):
    write_training(tmp_path / "run", largest_share=0.8)
    assert "not measurably better than guessing" in write_report(tmp_path / "run").read_text()


def test_a_network_of_another_size_than_in_the_search_is_explained(tmp_path, page):
    assert "In its search" not in " ".join(page.text)
    text = write_report(write_training(tmp_path / "other", searched_parameters=40_696)).read_text()
    assert "In its search, this architecture had 40,696 parameters. The training builds" in text


def test_an_interrupted_training_has_curves_and_the_command_to_continue(tmp_path):
    folder = write_training(tmp_path / "run", status="interrupted")
    (folder / "test.json").unlink()
    page = Page(write_report(folder).read_text())
    text = " ".join(page.text)
    assert "Not tested yet." in text
    assert f"python train.py resume={folder}" in text
    assert "chart-accuracy" in page.ids
    assert "classes" not in page.ids


def test_a_test_has_a_page_without_curves(tmp_path):
    folder = write_training(tmp_path / "run", mode="test")
    (folder / "metrics.csv").unlink()
    page = Page(write_report(folder).read_text())
    assert {"classes", "mistakes", "chart-confusion"} <= set(page.ids)
    assert "curves" not in page.ids


def test_a_training_without_an_epoch_has_nothing_to_report(tmp_path):
    folder = write_training(tmp_path / "run")
    for name in ("metrics.csv", "test.json"):
        (folder / name).unlink()
    with pytest.raises(NoTrialsError, match="a training without a complete epoch"):
        write_report(folder)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"confusion": [[1, 0], [0, 1]]}, "confusion must have 3 rows"),
        ({"mistakes": [{"label": 3, "predicted": 0, "probability": 0.5}]}, "without a name"),
        ({"mistakes": [{"label": 0, "predicted": 1, "probability": 2}]}, "less than or equal"),
        (
            {"mistakes": [{"label": 0, "predicted": 1, "probability": 0.5, "path": 7}]},
            "valid string",
        ),
        ({"classes": ["one"]}, "at least 2 items"),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path, record, message, capsys):
    folder = write_training(tmp_path / "run")
    content = json.loads((folder / "test.json").read_text())
    (folder / "test.json").write_text(json.dumps(content | record))
    assert main([str(folder)]) == 2
    errors = capsys.readouterr().err
    assert "test.json: damaged" in errors
    assert message in errors


def test_a_damaged_sheet_is_one_line(tmp_path):
    folder = write_training(tmp_path / "run")
    (folder / "mistakes.png").write_bytes(b"<script>")
    with pytest.raises(InputError, match=r"cannot read the image .*mistakes.png"):
        write_report(folder)


def test_a_sheet_keeps_the_pixels_of_small_images(tmp_path):
    pixels = torch.randint(256, (2, 3, 8, 8, 1), dtype=torch.uint8)
    write_sheet(tmp_path / "sheet.png", pixels)
    assert Image.open(tmp_path / "sheet.png").size == (24, 16)
    assert len(read_sheet(tmp_path / "sheet.png", 2, 3)) == 6
    write_sheet(tmp_path / "large.png", torch.zeros(1, 2, 200, 200, 3, dtype=torch.uint8))
    assert Image.open(tmp_path / "large.png").size == (2 * MOST_PIXELS, MOST_PIXELS)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_fits_a_window(tmp_path, width):
    page = write_report(write_training(tmp_path / "run"))
    measured = measure_page(page, width, tmp_path)
    assert measured["scroll_width"] <= width
    assert measured["console"] == []
    assert measured["swiped"] == measured["hints"] == 0  # on a phone too both cells are seen whole,
    assert measured["smallest_scale"] >= 0.98  # at about the size of the picture alone


def test_a_shortened_training_says_so(tmp_path):
    folder = write_training(tmp_path / "run", recipe_epochs=40)
    path = folder / ".hydra" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    words = []
    for epochs in (2, 30):
        changed = {**config, "minutes": 4, "trainer": {"max_epochs": epochs}}
        path.write_text(yaml.safe_dump(changed))
        words.append(Page(write_report(folder).read_text()).words)
    assert "minutes=4 shortened the training from 40 to 2 epochs" in words[0]
    assert "Short training" not in words[1]


def test_accuracy_on_validation_images_that_were_trained_on_is_not_called_the_best(tmp_path):
    folder = write_training(tmp_path / "run")
    path = folder / ".hydra" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**config, "data": {"train_on_all": True}}))
    words = Page(write_report(folder).read_text()).words
    assert "last validation accuracy 70.0% its images are training images too" in words
    assert "best validation accuracy" not in words
    assert "on validation images, which are training images too." in words
