"""What a refused or failed command leaves behind: the folder exactly as it was."""

import csv
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing

import pytest
import torch
from commands import run, start, status_of, succeed, wait_for

QUIET = ["logger=csv", "callbacks.progress=null"]
TABLE = ["experiment=nas_bench_201", "method=random_search", "method.samples=20", *QUIET]
TRAINING = ["debug=smoke", "trainer.max_epochs=2", *QUIET]


def snapshot(folder):
    """Return the content of all files but the log."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".log")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def search_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "run"
    succeed("search.py", *TABLE, f"hydra.run.dir={folder}")
    return folder


@pytest.fixture(scope="module")
def training_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "run"
    succeed("train.py", *TRAINING, f"hydra.run.dir={folder}")
    return folder


def truncate(path):
    path.write_bytes(path.read_bytes()[:1000])


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncate,
    "foreign": lambda path: torch.save({"a": torch.ones(2)}, path),
    "foreign state": lambda path: torch.save(
        torch.load(path, weights_only=True) | {"state_dict": {"a": torch.ones(2)}, "loops": 3}, path
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["search", "training"])
def test_a_resume_from_a_damaged_checkpoint_changes_nothing(kind, damage, tmp_path, request):
    folder = tmp_path / "run"
    shutil.copytree(request.getfixturevalue(f"{kind}_run"), folder)
    DAMAGES[damage](folder / "checkpoints" / "last.ckpt")
    before = snapshot(folder)
    more = "method.samples=40" if kind == "search" else "trainer.max_epochs=4"
    script = "search.py" if kind == "search" else "train.py"
    status, _, errors = run(script, f"resume={folder}", more)
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
    assert snapshot(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "a: [", "a:\tb", "a: 1\na: 2", "a: &x [1]\nb: *x"])
def test_a_resume_with_a_damaged_configuration_changes_nothing(text, search_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(search_run, folder)
    (folder / ".hydra" / "config.yaml").write_text(text)
    before = snapshot(folder)
    status, _, errors = run("search.py", f"resume={folder}", "method.samples=40")
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
    assert "config.yaml: damaged" in errors
    assert snapshot(folder) == before


def drop_tables(path):
    with closing(sqlite3.connect(path)) as database:
        database.executescript("DROP TABLE trials; DROP TABLE about;")


def rename_column(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE trials RENAME COLUMN accuracy_reward TO x")


def remove(path):
    path.unlink()


def renumber(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("UPDATE trials SET number = 99 WHERE number = 3")


@pytest.mark.slow
@pytest.mark.parametrize("damage", [drop_tables, rename_column, renumber, remove])
def test_a_resume_with_a_damaged_journal_changes_nothing(damage, search_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(search_run, folder)
    damage(folder / "trials.sqlite")
    before = snapshot(folder)
    status, _, errors = run("search.py", f"resume={folder}", "method.samples=40")
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
    assert f"trials.sqlite: {'missing' if damage is remove else 'damaged'}" in errors
    assert snapshot(folder) == before


@pytest.mark.slow
def test_the_second_of_two_searches_in_one_folder_writes_nothing(tmp_path):
    folder = tmp_path / "run"
    first = start(
        "search.py", "debug=smoke", "trainer.max_epochs=500", *QUIET, f"hydra.run.dir={folder}"
    )
    try:
        wait_for(folder / "metrics.csv")
        config = (folder / ".hydra" / "config.yaml").read_bytes()
        for command in (
            ["search.py", *TABLE, f"hydra.run.dir={folder}"],
            ["search.py", f"resume={folder}", "trainer.max_epochs=3"],
        ):
            status, _, errors = run(*command)
            assert status == 2
            assert "another command writes into this folder" in errors
            assert (folder / ".hydra" / "config.yaml").read_bytes() == config
            assert not (folder / ".hydra" / "resumed.yaml").exists()
    finally:
        os.killpg(first.pid, signal.SIGINT)
        first.communicate(timeout=120)
    assert status_of(folder) == "interrupted"


@pytest.mark.slow
def test_of_two_resumes_of_one_training_the_second_is_refused(training_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(training_run, folder)
    first = start("train.py", f"resume={folder}", "trainer.max_epochs=5000")
    try:
        wait_for(folder / "run.lock")
        status, _, errors = run("train.py", f"resume={folder}", "trainer.max_epochs=3")
        assert status == 2
        assert "another command writes into this folder" in errors
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    succeed("train.py", f"resume={folder}", "trainer.max_epochs=3")  # the lock ended with it


@pytest.mark.slow
def test_a_training_in_a_folder_without_a_given_name_is_locked_too(tmp_path):
    first = start("train.py", *TRAINING, "trainer.max_epochs=5000", f"paths.runs={tmp_path}")
    try:
        while not (saved := list(tmp_path.glob("train/*/checkpoints/last.ckpt"))):
            assert first.poll() is None
            time.sleep(0.1)
        status, _, errors = run("train.py", f"resume={saved[0].parents[1]}")
        assert status == 2
        assert "another command writes into this folder" in errors
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("script", ["search.py", "train.py"])
def test_a_run_folder_given_to_the_other_command_stays_as_it_was(script, tmp_path, request):
    other = {"search.py": "training_run", "train.py": "search_run"}[script]
    folder = request.getfixturevalue(other)
    before = snapshot(folder)
    status, _, errors = run(script, f"resume={folder}", "trainer.max_epochs=3")
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
    right = {"search.py": "train.py", "train.py": "search.py"}[script]
    assert f"python {right} resume={folder}" in errors
    assert snapshot(folder) == before


@pytest.mark.slow
def test_a_resume_with_another_evaluation_changes_nothing(search_run):
    before = snapshot(search_run)
    more = ["method.samples=30", "evaluation.dataset=cifar100"]
    status, _, errors = run("search.py", f"resume={search_run}", *more)
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
    assert errors.startswith(
        "error: evaluation.dataset=cifar100: new rewards could not be compared"
    )
    assert snapshot(search_run) == before


@pytest.mark.slow
def test_a_folder_that_only_hydra_knows_is_not_used_twice(tmp_path):
    given = [*TABLE, f"hydra.run.dir={tmp_path}/${{name}}/run"]
    succeed("search.py", *given)
    folder = tmp_path / "nas_bench_201" / "run"
    before = snapshot(folder)
    status, _, errors = run("search.py", *given, "seed=3")
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
    assert f"holds a run; continue it with resume={folder}" in errors
    assert snapshot(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["nas_bench_201"]


@pytest.mark.slow
def test_a_bad_job_of_a_multirun_does_not_end_the_others(tmp_path):
    status, output, errors = run(
        "search.py", *TABLE, "-m", "seed=1,-1,2,abc", f"hydra.sweep.dir={tmp_path}"
    )
    assert status == 2, errors
    assert output.splitlines()[-1].split() == ["all", "runs", str(tmp_path / "report.html")]
    assert "2 runs, seeds 1, 2" in (tmp_path / "report.html").read_text()
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert [line.split(":")[1] for line in lines] == [
        *(" run #1", " run #3"),
        " 2 of the runs failed",
    ]
    assert "#1, #3" in lines[-1]
    assert "Traceback" not in errors
    assert [status_of(tmp_path / name) for name in "02"] == ["complete", "complete"]
    assert not (tmp_path / "1").exists()
    assert not (tmp_path / "run.lock").exists()


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["method=nsnet,nas", "method.samples=-3,-2"])
def test_a_multirun_in_which_all_runs_fail_leaves_no_folder(setting, tmp_path):
    sweep = tmp_path / "runs" / "sweep"
    status, _, errors = run("search.py", "-m", *TABLE, setting, f"hydra.sweep.dir={sweep}")
    assert status == 2, errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_multirun_does_not_take_the_folder_of_another(tmp_path):
    (tmp_path / "0" / "checkpoints").mkdir(parents=True)
    status, _, errors = run("search.py", "-m", "seed=3,4", *TABLE, f"hydra.sweep.dir={tmp_path}")
    assert status == 2
    assert "holds runs (0)" in errors


@pytest.mark.slow
@pytest.mark.parametrize("name", ["my wörk", "proj (1)", "lr=0.1", "a,b", "it's", "[x]", "{y}"])
def test_a_run_in_a_folder_with_an_awkward_name_is_resumed(name, search_run, tmp_path):
    folder = tmp_path / name
    shutil.copytree(search_run, folder)
    quoted = str(folder).replace("'", r"\'")
    succeed("search.py", f"resume='{quoted}'", "method.samples=25")
    assert status_of(folder) == "complete"


@pytest.mark.slow
def test_a_resume_after_the_last_batch_adds_no_epoch(search_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(search_run, folder)
    metrics = (folder / "metrics.csv").read_text()
    succeed("search.py", f"resume={folder}")
    assert (folder / "metrics.csv").read_text() == metrics


@pytest.mark.slow
def test_a_report_of_an_earlier_command_is_not_shown_as_that_of_a_resume(tmp_path):
    settings = [*TABLE, "logger=null", f"hydra.run.dir={tmp_path}/run"]
    assert "\nreport " in succeed("search.py", *settings)
    (tmp_path / "run" / "metrics.csv").write_text("epoch\nabc\n")
    output = succeed("search.py", f"resume={tmp_path}/run", "method.samples=25")
    assert "no report: " in output
    assert "\nreport " not in output


KILLER = """
import os
import signal
from pytorch_lightning.callbacks import Checkpoint

class KillAfterSave(Checkpoint):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["training", "search"])
def test_a_kill_between_checkpoint_and_metrics_loses_no_row(kind, tmp_path, monkeypatch):
    (tmp_path / "killer.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    script, settings = {
        "training": ("train.py", [*TRAINING, "trainer.max_epochs=4"]),
        "search": ("search.py", [*TABLE, "method.batch=5"]),  # four epochs
    }[kind]
    folder, whole, target = tmp_path / "run", tmp_path / "whole", "callbacks.kill._target_"
    kill = [f"+{target}=killer.KillAfterSave", "+callbacks.kill.epoch=2"]
    status, _, errors = run(script, *settings, *kill, f"hydra.run.dir={folder}")
    assert status == -signal.SIGKILL, errors
    again = [f"{target}=killer.KillAfterSave", "callbacks.kill.epoch=null"]
    succeed(script, f"resume={folder}", *again)
    succeed(script, *settings, f"hydra.run.dir={whole}")
    assert read_epochs(folder) == read_epochs(whole)
    assert {int(epoch) for epoch, _ in read_epochs(folder)} >= {0, 1, 2, 3}


def read_epochs(folder):
    """Return epoch and step of each row of the metrics."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [(row["epoch"], row["step"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_files_of_killed_processes_are_removed_at_the_next_start(search_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(search_run, folder)
    left = folder / "checkpoints" / "last.ckpt.4194999.part"  # above the largest process number
    left.write_bytes(b"half")
    succeed("search.py", f"resume={folder}", "method.samples=25")
    assert not left.exists()
