"""What a refused or failed command leaves behind: the folder exactly as it was."""

import os
import shutil
import signal

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
def test_files_of_killed_processes_are_removed_at_the_next_start(search_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(search_run, folder)
    left = folder / "checkpoints" / "last.ckpt.4194999.part"  # above the largest process number
    left.write_bytes(b"half")
    succeed("search.py", f"resume={folder}", "method.samples=25")
    assert not left.exists()
