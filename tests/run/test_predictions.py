"""``predictions.csv``: names that spreadsheets would run, names that are not UTF-8, errors."""

import csv
from pathlib import Path

import pytest
import torch

from lightning_nas.run.predictions import write_predictions


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


def test_classes_without_names_have_numbers(tmp_path):
    assert predict(tmp_path, ["a.png"], classes=())[0]["class"] == "1"
