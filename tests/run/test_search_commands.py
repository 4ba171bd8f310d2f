"""Searches with shared weights, run as commands: results, resumes, signals, errors."""

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from commands import ROOT, run, start, start_python, status_of, succeed, wait_for
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

EXPERIMENTS = sorted(path.stem for path in (ROOT / "configs" / "experiment").glob("*.yaml"))
SMALL = ["debug=smoke", "callbacks.progress=null", "space.blocks=2", "logger=csv"]
TWO_PROCESSES = ["trainer.devices=2"]
PROCESSES = pytest.mark.parametrize(
    "more",
    [
        pytest.param([], id="one process"),
        pytest.param(TWO_PROCESSES, id="two", marks=pytest.mark.slow),
    ],
)


def load_state(run, name="state_dict"):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)[name]


@pytest.fixture(scope="module")
def search_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    output = succeed("search.py", *SMALL, f"hydra.run.dir={folder}", start=start_python)
    return folder, output


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_each_experiment_composes(experiment):
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        for extra in ([], ["debug=smoke"]):
            cfg = compose("search", [f"experiment={experiment}", *extra], return_hydra_config=False)
            assert cfg.name == experiment
            data = cfg.get("data") or {"_target_": "none: a table"}
            assert ("Synthetic" in data["_target_"]) == bool(extra)


@pytest.mark.parametrize(
    ("recipe", "epochs", "restart", "batch"),
    [("quick", 40, None, 32), ("enas_cifar", 630, 10, 144), ("cifar", 600, None, 32)],
)
def test_recipe_overrides_the_defaults(recipe, epochs, restart, batch):
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose("train", [f"recipe={recipe}"])
    assert cfg.trainer.max_epochs == epochs
    assert restart == cfg.module.scheduler.period
    assert cfg.data.batch_size == batch


def test_search_writes_its_run_folder(search_run):
    folder, output = search_run
    names = {path.name for path in folder.iterdir()}
    assert {"architecture.json", "architecture.svg", "architecture.png", "metrics.csv"} <= names
    assert {"summary.json", "checkpoints", ".hydra", "report.html"} <= names
    assert {"top.csv", "top", "pareto.csv", "pareto"} <= names
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "complete"
    assert summary["experiment"] == "enas_micro_digits"
    assert (
        summary["architectures"] == 2 * 3 * 2 + 2 * 3
    )  # epochs x steps x samples, and those of deriving
    assert f"python train.py architecture={folder}" in output
    assert f"report        {folder}/report.html" in output
    with (folder / "top.csv").open() as file:
        assert all(int(row["parameters"]) > 1000 for row in csv.DictReader(file))
    assert "Partial report" not in (folder / "report.html").read_text()


def test_metrics_are_those_of_the_method_page(search_run, glossary):
    with (search_run[0] / "metrics.csv").open() as file:
        logged = set(next(csv.reader(file)))
    logged = {name.removesuffix("_step").removesuffix("_epoch") for name in logged}
    assert glossary == logged - {"step", "epoch"}


def test_derived_architecture_is_trained_and_tested(search_run, tmp_path):
    output = succeed(
        "train.py", f"architecture={search_run[0]}", "callbacks.progress=null",
        "trainer.max_epochs=8", "network.filters=12", f"hydra.run.dir={tmp_path}",
    )  # fmt: skip
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["test_accuracy"] > 0.4  # four classes
    assert Path(summary["checkpoint"]).exists()
    assert {"parameters", "multiply_adds", "epochs", "seconds", "architecture"} <= set(summary)
    assert summary["data"] == "synthetic"
    assert (tmp_path / "architecture.json").read_text() == (
        search_run[0] / "architecture.json"
    ).read_text()
    assert "test error" in output
    with (search_run[0] / "top.csv").open() as file:
        searched = int(next(csv.DictReader(file))["parameters"])
    assert searched == summary["searched_parameters"] != summary["parameters"]
    assert f"{summary['parameters']:,} (in the search: {searched:,})" in output


@PROCESSES
def test_resumed_search_equals_an_uninterrupted_search(more, search_run, tmp_path):
    whole, half = tmp_path / "whole", tmp_path / "half"
    for folder, epochs in ((whole, 2), (half, 1)) if more else ((half, 1),):
        arguments = [*SMALL, f"trainer.max_epochs={epochs}", f"hydra.run.dir={folder}", *more]
        succeed("search.py", *arguments)
    config = (half / ".hydra" / "config.yaml").read_text()
    succeed("search.py", f"resume={half}", "trainer.max_epochs=2")
    assert (half / ".hydra" / "config.yaml").read_text() == config
    uninterrupted, resumed = load_state(whole if more else search_run[0]), load_state(half)
    assert all(torch.equal(uninterrupted[name], resumed[name]) for name in uninterrupted)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@PROCESSES
def test_ctrl_c_and_sigterm_leave_a_run_that_can_be_resumed(more, signum, status, tmp_path):
    arguments = [*SMALL, "trainer.max_epochs=500", f"hydra.run.dir={tmp_path}", *more]
    process = start("search.py", *arguments)
    wait_for(tmp_path / "checkpoints" / "last.ckpt")
    if signum == signal.SIGINT:
        os.killpg(process.pid, signum)
    else:
        process.send_signal(signum)  # a scheduler signals the first process only
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert status_of(tmp_path) == "interrupted"
    assert "Partial report" in (tmp_path / "report.html").read_text()
    assert "Traceback" not in errors
    assert f"to end it now: python search.py resume={tmp_path} finish=true" in errors
    if more or signum == signal.SIGTERM:
        return
    status, _, errors = run("train.py", f"architecture={tmp_path}", "debug=smoke")
    assert status == 2
    assert f"to end it now: python search.py resume={tmp_path} finish=true" in errors
    epochs = load_state(tmp_path, "epoch")
    output = succeed("search.py", f"resume={tmp_path}", "finish=true")
    assert "train it" in output
    assert status_of(tmp_path) == "complete"
    assert (tmp_path / "architecture.json").exists()
    assert "the search was ended early" in (tmp_path / "report.html").read_text()
    assert load_state(tmp_path, "epoch") == epochs


@pytest.mark.slow
def test_ctrl_c_stops_all_runs_of_a_multirun(tmp_path):
    settings = [*SMALL, "trainer.max_epochs=500", f"hydra.sweep.dir={tmp_path}"]
    process = start("search.py", "-m", *settings, "hydra.sweep.subdir=${hydra:job.num}", "seed=1,2")
    wait_for(tmp_path / "0" / "checkpoints" / "last.ckpt")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert status_of(tmp_path / "0") == "interrupted"
    assert not (tmp_path / "1").exists()


@pytest.mark.slow
def test_resume_derives_after_ctrl_c_while_deriving(tmp_path):
    broken, uninterrupted = tmp_path / "broken", tmp_path / "uninterrupted"
    arguments = [*SMALL, "trainer.max_epochs=1", f"hydra.run.dir={broken}"]
    process = start("search.py", *arguments, "callbacks.derive.samples=20000")
    wait_for(broken / "checkpoints" / "last.ckpt")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert status_of(broken) == "interrupted"
    assert not (broken / "architecture.json").exists()
    succeed("search.py", f"resume={broken}", "callbacks.derive.samples=3")
    assert status_of(broken) == "complete"
    succeed("search.py", *SMALL, "trainer.max_epochs=1", f"hydra.run.dir={uninterrupted}")
    architectures = [
        (folder / "architecture.json").read_text() for folder in (broken, uninterrupted)
    ]
    assert architectures[0] == architectures[1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("space.blocks=3", "the checkpoint has space: cells of 2 blocks"),
        ("data.num_classes=3", "the checkpoint has classes: 4; this run has classes: 3"),
        ("supernet.filters=6", "the checkpoint is of another network"),
    ],
)
def test_checkpoint_that_does_not_fit_is_an_error_of_one_line(
    setting, message, search_run, tmp_path
):
    folder = shutil.copytree(search_run[0], tmp_path / "run")
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    config.merge_with_dotlist([setting])  # a resume refuses the setting as an argument
    OmegaConf.save(config, folder / ".hydra" / "config.yaml")
    before = (folder / "summary.json").read_text()
    status, _, errors = run("search.py", f"resume={folder}")
    assert status == 2, errors
    (line,) = (line for line in errors.splitlines() if line.startswith("error:"))
    assert message in line
    assert "Traceback" not in errors
    assert (folder / "summary.json").read_text() == before


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("search.py", ["experiment=enas_micro_cifr"], "enas_micro_cifar"),
        ("search.py", ["data=digit"], "digits"),
        pytest.param(
            "search.py",
            ["supernet.batch_norm=none"],
            "batch_norm must be one of",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "search.py",
            ["supernet.initialization=zero"],
            "initialization must be he or identity",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "search.py",
            ["callbacks.derive.samples=0"],
            "callbacks.derive.samples",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "search.py",
            ["data=image_folder", "data.root=/no/such/folder"],
            "/no/such/folder",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "search.py",
            ["data=synthetic", "data.image_size=2"],
            "too small",
            marks=pytest.mark.slow,
        ),
        ("search.py", ["data._target_=nowhere.Images"], "No module named 'nowhere'"),
        ("search.py", ["resume=/no/such/run"], "resume=/no/such/run: no such folder"),
        ("search.py", ["debug=smoke", "trainer.limit_train_batches=2"], "limit_train_batches"),
        ("search.py", ["debug=smoke", "trainer.gradient_clip_val=1"], "gradient_clip_val"),
        pytest.param(
            "search.py", ["debug=smoke", "trainer.precision=8"], "8", marks=pytest.mark.slow
        ),
        ("search.py", ["+evaluation.trainer.foo=1"], "foo is no setting of Lightning's Trainer"),
        ("search.py", ["judge.at_end=false", "+evaluation.foo=1"], "argument 'foo'"),
        ("search.py", ["method=nas"], "legal experiments: nas_bench_201, nas_cifar, nas_digits"),
        (
            "search.py",
            ["experiment=nas_digits", "method=enas"],
            "legal experiments: enas_macro_cifar",
        ),
        ("train.py", ["architecture=nowhere.json"], "nowhere.json"),
    ],
)
def test_users_error_is_one_line(script, arguments, message, tmp_path):
    folder = tmp_path / "run"
    if not arguments[0].startswith("resume"):
        arguments = [*arguments, f"hydra.run.dir={folder}"]
    status, _, errors = run(script, *arguments)
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert status == 2, errors
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in errors
    assert "Error executing" not in errors  # Hydra's own line
    assert not folder.exists()


@pytest.mark.parametrize(
    "more",
    [
        [],
        pytest.param(
            [
                "judge.at_end=true",
                "judge.architectures=7",
                "judge.sampled=2",
                "judge.derived_seeds=4",
                "judge.epochs=3",
                "judge.uniform_epochs=2",
            ],
            marks=pytest.mark.slow,
        ),
        pytest.param(["trainer.devices=2", "trainer.strategy=ddp"], marks=pytest.mark.slow),
    ],
)
def test_dry_run_prints_the_cost_and_leaves_no_folder(more, tmp_path):
    folder = tmp_path / "run"
    arguments = [*SMALL, "dry_run=true", f"hydra.run.dir={folder}", *more]
    output = succeed("search.py", *arguments)
    for word in ("space", "weights step", "controller step", "memory", "whole search", "advice"):
        assert any(line.startswith(word) for line in output.splitlines())
    judgement = [line for line in output.splitlines() if line.startswith("judgement")]
    assert len(judgement) == ("judge.at_end=true" in more)
    for line in judgement:
        assert "13 trainings of 3 epochs and 2 epochs of other shared weights" in line
    assert not folder.exists()


@pytest.mark.slow
def test_a_search_judges_itself_at_its_end_and_prints_the_verdict_in_one_line(tmp_path):
    few = ["architectures=5", "sampled=0", "derived_seeds=5", "epochs=1", "batches=2"]
    judge = ["judge.at_end=true", *(f"judge.{one}" for one in few)]
    output = succeed("search.py", *SMALL, *judge, f"hydra.run.dir={tmp_path}")
    (line,) = (line for line in output.splitlines() if line.startswith("Did the search beat"))
    answers = ("Yes.", "No better.", "Cannot tell.", "No, it did worse.")
    assert line.startswith(tuple(f"Did the search beat random search? {one}" for one in answers))
    assert "5 random architectures" in line
    report = (tmp_path / "report.html").read_text()
    assert "trained from scratch" in report
    assert line.split("? ", 1)[1].split(":")[0].split(". ", 1)[1][:60] in report


def test_dry_run_keeps_a_folder_with_results(tmp_path):
    result = tmp_path / "summary.json"
    result.write_text("{}")
    succeed("search.py", *SMALL, "dry_run=true", f"hydra.run.dir={tmp_path}")
    assert result.read_text() == "{}"
