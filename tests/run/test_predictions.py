"""``predictions.csv``: names that spreadsheets would run, names that are not UTF-8, errors."""

import csv
import shutil
from pathlib import Path

import pytest
import torch
from commands import succeed
from PIL import Image

from lightning_nas.errors import InputError
from lightning_nas.run.predictions import gather_predictions, write_predictions


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def predict(tmp_path, files, classes=("cat", "dog"), errors=None) -> list[dict[str, str]]:
    chances = torch.tensor([[0.25, 0.75]]).repeat(len(files), 1)
    path = tmp_path / "predictions.csv"
    write_predictions(path, [([Path(file) for file in files], chances)], classes, errors)
    return read_rows(path)


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_cell_begins_like_a_formula(tmp_path, start):
    name = f"{start}cmd|' /C calc'!A0"
    (row,) = predict(tmp_path, [f"{name}.png"], ["cat", name])
    assert row["file"] == f"./{name}.png"
    assert Path(row["file"]) == Path(f"{name}.png")
    assert row["class"] == f"'{name}"
    (row,) = predict(tmp_path, [f"{name}.png"], errors={f"{name}.png": f"{start}1"})
    assert row["error"] == f"'{start}1"


@pytest.mark.parametrize("name", ["cat", "it's", "a=b", "1-2", "ä ö", 'a "b", c'])
def test_other_names_stay_as_they_are(tmp_path, name):
    (row,) = predict(tmp_path, [f"{name}.png"], ["cat", name])
    assert (row["file"], row["class"]) == (f"{name}.png", name)


def test_a_leading_apostrophe_is_doubled(tmp_path):
    assert predict(tmp_path, ["a.png"], ["cat", "'tis"])[0]["class"] == "''tis"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("caf\udce9", r"caf\xe9"),
        ("\t=1", r"\x09=1"),
        ("a\r\nb", r"a\x0d\x0ab"),
        ("\x1b[31m", r"\x1b[31m"),
    ],
)
def test_bytes_that_are_no_text_are_shown_as_numbers(tmp_path, name, shown):
    (row,) = predict(tmp_path, [f"{name}.png"], ["cat", name])
    assert (row["file"], row["class"]) == (f"{shown}.png", shown)


def test_an_unreadable_image_has_an_error_and_no_class(tmp_path):
    first, second = predict(tmp_path, ["a.png", "b.png"], errors={"b.png": "the file is empty"})
    assert first == {"file": "a.png", "class": "dog", "probability": "0.7500", "error": ""}
    assert second == {"file": "b.png", "class": "", "probability": "", "error": "the file is empty"}


def test_the_most_likely_classes_come_in_order(tmp_path):
    path = tmp_path / "predictions.csv"
    files = [Path("a.png"), Path("b.png")]
    chances = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.3, 0.6]])
    write_predictions(path, [(files, chances)], ["cat", "dog", "cow"], {"b.png": "empty"}, top=2)
    first, second = read_rows(path)
    assert first == {
        "file": "a.png", "class": "cat", "probability": "0.5000", "error": "",
        "class_2": "cow", "probability_2": "0.3000",
    }  # fmt: skip
    assert (second["error"], second["class_2"], second["probability_2"]) == ("empty", "", "")
    write_predictions(path, [(files, chances)], ["cat", "dog", "cow"], top=9)
    assert read_rows(path)[0]["class_3"] == "dog"


def test_classes_without_names_have_numbers(tmp_path):
    assert predict(tmp_path, ["a.png"], classes=())[0]["class"] == "1"


# ---- several processes ---------------------------------------------------------------------------

QUIET = ["callbacks.progress=null", "logger=csv", "threads=1"]


def test_processes_that_have_ended_are_an_error_of_the_user():
    assert gather_predictions(None, {}, world_size=1) == ([], {})
    with pytest.raises(InputError, match=r"needs trainer\.strategy=ddp"):
        gather_predictions(None, {}, world_size=2)


@pytest.mark.slow
def test_two_processes_write_each_image_once_in_the_order_of_the_folder(tmp_path):
    trained, images = tmp_path / "trained", tmp_path / "images"
    succeed("train.py", "debug=smoke", *QUIET, f"hydra.run.dir={trained}")
    images.mkdir()
    for number in range(200):  # four batches; the last one has eight images
        Image.new("RGB", (8, 8), (number, 255 - number, 0)).save(images / f"{number:03}.png")
    for number in (5, 70):  # of both processes
        (images / f"{number:03}.png").write_bytes(b"not an image")
    command = ["train.py", "mode=predict", f"weights={trained}", *QUIET]
    two = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp"]
    (few := tmp_path / "few").mkdir()
    for number in range(3):
        shutil.copy(images / f"{number:03}.png", few)
    tables = {}
    for name, more, source in (
        ("one", [], images),
        ("two", two, images),
        ("of few", two, few),
    ):
        folder = tmp_path / name
        output = succeed(*command, *more, f"images={source}", f"hydra.run.dir={folder}")
        tables[name] = (folder / "predictions.csv").read_text()
        assert ("2 images, listed with their errors" in output) == (source == images)
    assert tables["two"] == tables["one"]
    rows = tables["two"].splitlines()[1:]
    assert [Path(row.split(",")[0]).stem for row in rows] == [f"{n:03}" for n in range(200)]
    rows = tables["of few"].splitlines()[1:]
    assert [Path(row.split(",")[0]).stem for row in rows] == ["000", "001", "002"]
