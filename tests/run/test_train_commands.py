"""``train.py`` as a command: test, predict, export, finetune, interruptions, errors."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import onnxruntime
import pytest
import torch
from commands import ROOT, run, start, start_python, succeed, wait_for
from hydra import compose, initialize_config_dir
from PIL import Image
from torch._dynamo.utils import counters

from lightning_nas.architecture import ChainArchitecture, ChainLayer, write_architecture
from lightning_nas.run.train import compile_network
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.load import read_weights

QUIET = ["callbacks.progress=null", "logger=csv"]
RECIPES = sorted(path.stem for path in (ROOT / "configs" / "recipe").glob("*.yaml"))


def train(folder, *arguments, **more):
    status, output, errors = run("train.py", *QUIET, *arguments, f"hydra.run.dir={folder}", **more)
    assert status == 0, errors
    return json.loads((folder / "summary.json").read_text()), output, errors


@pytest.fixture(scope="module")
def training_run(tmp_path_factory):
    """A training on generated images of four classes, with two export formats."""
    folder = tmp_path_factory.mktemp("trained")
    summary, output, _ = train(
        folder, "architecture=nasnet_a", "debug=smoke", "trainer.max_epochs=6",
        "network.drop_path=0.1", "export=[onnx,safetensors]", start=start_python,
    )  # fmt: skip
    assert summary["test_accuracy"] > 0.5
    assert summary["images_per_second"] > 0
    assert "onnx  " in output
    return folder, summary


def test_each_recipe_composes():
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        for recipe in RECIPES:
            cfg = compose("train", [f"recipe={recipe}", "architecture=nasnet_a"])
            large = recipe.startswith("imagenet")
            assert cfg.network.stem == ("imagenet" if large else None)
            assert ("average" in cfg.callbacks) == large
            any_data = ("quick", "small", "finetune")
            images = "Digits" if recipe in any_data else "Cifar10"
            assert cfg.data._target_.endswith("ImageFolder" if large else images)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def test_dry_run_prints_the_cost_of_a_training_and_leaves_no_folder(tmp_path):
    folder = tmp_path / "run"
    given = ["debug=smoke", "dry_run=true", "trainer.max_epochs=7", *QUIET]
    output = succeed("train.py", *given, f"hydra.run.dir={folder}")
    lines = dict(line.split(maxsplit=1) for line in output.splitlines() if line)
    assert lines["network"] == "enas_micro, 77,288 parameters"
    assert lines["training"] == "recipe quick, 7 epochs of 4 steps with 32 images"
    assert {"step", "epoch", "whole"} <= set(lines)
    assert not folder.exists()


def test_only_a_training_has_a_dry_run(tmp_path):
    given = ["mode=test", "weights=TRAINED", "dry_run=true", *QUIET]
    status, _, errors = run("train.py", *given, f"hydra.run.dir={tmp_path / 'run'}")
    assert status == 2
    assert "dry_run=true estimates a training; mode=test is none" in errors


@pytest.mark.parametrize("form", ["run", slow("checkpoint"), slow("safetensors")])
def test_mode_test_repeats_the_test_accuracy_of_the_training(form, training_run, tmp_path):
    folder, summary = training_run
    weights = {  # each records its data
        "run": folder,
        "checkpoint": folder / "checkpoints" / "best.ckpt",
        "safetensors": folder / "export" / "model.safetensors",
    }[form]
    tested, output, _ = train(tmp_path, "mode=test", f"weights={weights}")
    assert tested["test_accuracy"] == summary["test_accuracy"]
    assert tested["parameters"] == summary["parameters"]
    assert tested["data"] == "synthetic"
    assert f"{summary['test_accuracy']:.2%}" in output


def test_predictions_equal_those_of_the_network(training_run, tmp_path):
    folder, _ = training_run
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (5, 8, 8, 3), generator=generator, dtype=torch.uint8)
    names = ["a.png", "b.png", "c.png", "deep/d.png", "deep/e.png"]
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image.numpy()).save(images / name)
    run_folder = tmp_path / "run"
    summary, output, _ = train(run_folder, "mode=predict", f"weights={folder}", f"images={images}")
    assert summary["predictions"].endswith("predictions.csv")
    assert "predictions.csv" in output
    weights = read_weights(str(folder), tmp_path)
    network = weights.blueprint.build().eval()
    network.load_state_dict(weights.state)
    mean, std = (
        torch.tensor(x)[:, None, None] for x in (weights.blueprint.mean, weights.blueprint.std)
    )
    with torch.no_grad():
        chances = network((pixels.permute(0, 3, 1, 2) / 255 - mean) / std).softmax(1)
    with (run_folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [str(images / name) for name in names]
    for row, chance in zip(rows, chances, strict=True):
        assert row["class"] == weights.blueprint.classes[chance.argmax()]
        assert float(row["probability"]) == pytest.approx(chance.max().item(), abs=1e-4)
        assert row["class_3"] == weights.blueprint.classes[chance.argsort()[-3]]


def test_the_exported_script_names_the_classes_that_predict_names(training_run, tmp_path):
    folder, _ = training_run
    generator = torch.Generator().manual_seed(1)
    for number, side in enumerate((8, 23)):  # the second image is resized
        pixels = torch.randint(
            256, (side, side + number, 3), generator=generator, dtype=torch.uint8
        )
        Image.fromarray(pixels.numpy()).save(tmp_path / f"{number}.png")
    train(tmp_path / "run", "mode=predict", f"weights={folder}", f"images={tmp_path}")
    with (tmp_path / "run" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    shutil.copytree(folder / "export", tmp_path / "elsewhere")
    command = [sys.executable, "elsewhere/classify.py", *(row["file"] for row in rows)]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [
        "  ".join(
            [row["file"]]
            + [f"{row[f'class{n}']} {float(row[f'probability{n}']):.1%}" for n in ("", "_2", "_3")]
        )
        for row in rows
    ]
    shutil.copytree(
        tmp_path, tmp_path / "images", ignore=lambda _, names: set(names) - {"0.png", "1.png"}
    )
    of_folder = subprocess.run(
        [*command[:2], "images"], cwd=tmp_path, capture_output=True, text=True
    )
    assert [line.split("  ", 1)[1] for line in of_folder.stdout.splitlines()] == [
        line.split("  ", 1)[1] for line in said.splitlines()
    ]
    (tmp_path / "bad.png").write_text("no image")
    for files, message in ((["bad.png"], "bad.png  cannot identify"), ([], "usage: python")):
        done = subprocess.run([*command[:2], *files], cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith(message)


@pytest.mark.slow
def test_the_code_in_the_readme_of_an_export_runs(training_run, tmp_path):
    folder, _ = training_run
    formats = "export=[python,onnx,torch,safetensors]"
    train(tmp_path, "mode=export", f"weights={folder}", formats)
    blocks = re.findall(
        r"```python\n(.*?)```", (tmp_path / "export" / "README.md").read_text(), re.S
    )
    *with_logits, backbone = blocks
    assert len(with_logits) == 3
    checks = [f"{block}\nassert tuple(logits.shape) == (1, 4)" for block in with_logits]
    checks.append(f"{backbone}\nassert [x.shape[2] for x in maps] == [8, 4, 2]")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for code in checks:
        command = [sys.executable, "-c", code]
        subprocess.run(command, cwd=tmp_path / "export", check=True, env=environment)


def test_mode_export_gives_equal_logits(training_run, tmp_path):
    folder, _ = training_run
    summary, _, _ = train(tmp_path, "mode=export", f"weights={folder}", "export=[python,torch]")
    assert set(summary["exported"]) == {"python", "torch"}
    export = tmp_path / "export"
    assert {path.name for path in export.iterdir()} == {
        "model.py", "model_weights.pt", "model.pt2", "model.json", "README.md"
    }  # fmt: skip
    blueprint = Blueprint.from_json((export / "model.json").read_text(), "model.json")
    assert blueprint.image_size == 8
    assert len(blueprint.classes) == 4
    images = torch.randn(5, 3, 8, 8)
    torch.save(images, tmp_path / "images.pt")
    code = (
        "import sys, torch; sys.path.insert(0, 'export'); import model; "
        "torch.save(model.load()(torch.load('images.pt')).detach(), 'logits.pt'); "
        "assert not any('lightning' in name for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True)
    logits = torch.load(tmp_path / "logits.pt")
    program = torch.export.load(export / "model.pt2").module()
    torch.testing.assert_close(program(images), logits, rtol=1e-4, atol=1e-4)
    session = onnxruntime.InferenceSession(folder / "export" / "model.onnx")
    (onnx,) = session.run(None, {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(onnx), logits, rtol=1e-4, atol=1e-4)


def test_finetuning_on_other_classes_image_size_and_channels(training_run, tmp_path):
    folder, _ = training_run
    summary, output, _ = train(
        tmp_path, f"weights={folder}", "recipe=finetune", "data=digits", "trainer.max_epochs=1",
        "module.frozen_stages=1",
    )  # fmt: skip
    assert "fresh weights: classifier" in output
    assert summary["data"] == "digits"
    weights = read_weights(str(tmp_path), tmp_path)
    before = read_weights(str(folder), tmp_path)
    assert weights.blueprint.settings["filters"] == 8  # the size of the initial weights
    assert (weights.blueprint.num_classes, weights.blueprint.channels) == (10, 1)
    stem = weights.state["stem.0.weight"]
    torch.testing.assert_close(stem, before.state["stem.0.weight"].sum(1, keepdim=True))  # frozen
    assert not torch.equal(weights.state["cells.0.base.conv.weight"],
                           before.state["cells.0.base.conv.weight"])  # fmt: skip


def test_shared_weights_of_a_search_are_inherited(tmp_path):
    search_run, folder = tmp_path / "search", tmp_path / "train"
    succeed("search.py", *QUIET, "debug=smoke", "space.blocks=2", f"hydra.run.dir={search_run}")
    summary, output, _ = train(
        folder, f"weights={search_run}", "recipe=finetune", "trainer.max_epochs=1"
    )
    assert re.search(r"inherited (\d+) of \1 operations with weights", output)
    assert (folder / "architecture.json").read_text() == (
        search_run / "architecture.json"
    ).read_text()
    assert summary["data"] == "synthetic"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mode=guess"], "mode must be fit, test, predict, export, got 'guess'"),
        slow(["mode=test"], "mode=test needs weights=RUN"),
        slow(["mode=predict", "weights=RUN"], "mode=predict needs images=DIR"),
        (["mode=predict", "weights=RUN", "images=/no/such"], "/no/such"),
        slow(
            ["mode=export", "weights=RUN"],
            "mode=export needs export=FORMAT or a list; formats: python, onnx",
        ),
        (["mode=export", "weights=RUN", "export=xml"], "export must be out of python, onnx"),
        slow(["export=xml"], "export must be out of python, onnx"),
        slow(["recipe=finetune"], "need weights=RUN"),
        (["weights=/no/such"], "no such file or run folder"),
        (["weights=RUN", "data=digits", "recipe=finetune", "new_head=false"], "have other classes"),
        slow(
            ["mode=test", "weights=RUN", "data=digits"], "the images have 1 channels and 8 pixels"
        ),
        (["weights=RUN", "recipe=finetune", "network.filters=16"], "do not fit this network"),
        slow(["recipe=cifr"], "recipe=cifr: no such option; did you mean recipe=cifar?"),
        slow(["network.cells=0"], "cells must be at least 1, got 0"),
        (["network.filters=0"], "filters must be even and at least 2, got 0"),
        slow(["network.stem=imagenet"], "8 px are too small for 5 reductions"),
    ],
)
def test_users_error_is_one_line(arguments, message, training_run, tmp_path):
    folder = tmp_path / "run"
    arguments = [argument.replace("RUN", str(training_run[0])) for argument in arguments]
    status, _, errors = run("train.py", *QUIET, *arguments, f"hydra.run.dir={folder}")
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert status == 2, errors
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in errors
    assert not folder.exists()


def test_missing_compiler_is_an_error_of_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "/no/such/compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "run"
    status, _, errors = run(  # torch reads CXX when it is imported
        "train.py", *QUIET, "debug=smoke", "compile=true", f"hydra.run.dir={folder}",
        start=start_python,
    )  # fmt: skip
    assert status == 2, errors
    (line,) = (line for line in errors.splitlines() if line.startswith("error:"))
    assert "compile=true: torch cannot compile here" in line


@pytest.mark.slow
def test_compiled_network_is_trained_and_exported(tmp_path):
    layers = tuple(ChainLayer((3, 3), (1, 1), 8, (i - 1,) if i else ()) for i in range(3))
    path = tmp_path / "architecture.json"
    write_architecture(ChainArchitecture(layers), path)
    folder = tmp_path / "run"
    summary, _, _ = train(
        folder, "debug=smoke", "compile=true", f"architecture={path}", "export=safetensors"
    )
    assert summary["status"] == "complete"
    exported = read_weights(str(folder / "export" / "model.safetensors"), tmp_path)
    assert read_weights(str(folder), tmp_path).state.keys() == exported.state.keys()


def test_compile_network_compiles():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    names = list(network.state_dict())
    compile_network(network, torch.device("cpu"))
    before = counters["stats"]["unique_graphs"]
    images = torch.randn(4, 2)
    compiled = network(images)
    assert counters["stats"]["unique_graphs"] == before + 1
    torch.testing.assert_close(compiled, network[1](network[0](images)))
    assert list(network.state_dict()) == names


@pytest.mark.slow
def test_two_processes_train_average_and_resume(tmp_path):
    settings = [
        "debug=smoke", "architecture=nasnet_a", "network.dropout=0.2", "data.image_size=20",
        "network.auxiliary=true", "trainer.devices=2", "trainer.strategy=ddp", "threads=1",
        "+callbacks.average._target_=lightning_nas.callbacks.averaging.AverageWeights",
    ]  # fmt: skip
    whole, half = tmp_path / "whole", tmp_path / "half"
    summary, output, _ = train(whole, *settings, "module.scheduler.epochs=2")
    assert summary["status"] == "complete"
    assert output.count("run folder") == 1  # only the first process prints
    train(half, *settings, "module.scheduler.epochs=2", "trainer.max_epochs=1")
    succeed("train.py", f"resume={half}", "trainer.max_epochs=2")
    weights = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        for folder in (whole, half)
    ]
    for key in ("state_dict", "current_model_state"):
        for name, tensor in weights[0][key].items():
            assert torch.equal(tensor, weights[1][key][name]), name


# ---- interruption -------------------------------------------------------------------------------


def start_with_data_workers(tmp_path):
    """Start a long training whose images two processes decode; return it and its run folder."""
    images, folder = tmp_path / "images", tmp_path / "run"
    for split, number in product(("train", "test"), range(2)):
        (images / split / str(number)).mkdir(parents=True)
        for index in range(24):
            path = images / split / str(number) / f"{index}.png"
            Image.new("RGB", (80, 80), (index * 9, number * 200, 0)).save(path)
    process = start(
        "train.py", *QUIET, "architecture=enas_micro", "data=image_folder", f"data.root={images}",
        "network.filters=8", "network.cells=1", "network.stem=imagenet", "data.num_workers=2",
        "data.batch_size=4", "trainer.max_epochs=500", f"hydra.run.dir={folder}",
    )  # fmt: skip
    wait_for(folder / "checkpoints" / "last.ckpt")
    return process, folder


def test_signal_to_the_data_workers_is_an_interruption(tmp_path):
    process, folder = start_with_data_workers(tmp_path)
    os.killpg(process.pid, signal.SIGTERM)  # as a batch system does
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    assert "Traceback" not in errors
    assert f"resume={folder}" in errors


def test_the_death_of_a_data_worker_is_one_line_and_the_training_can_be_resumed(tmp_path):
    process, folder = start_with_data_workers(tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)  # as the system does for lack of memory
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2, errors
    (line,) = errors.strip().splitlines()
    assert line.startswith("error: a process that loads images has died")
    assert line.endswith(f"resume={folder}")
    epoch = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"]
    succeed("train.py", f"resume={folder}", f"trainer.max_epochs={epoch + 2}")
