"""Searches with children, run as commands: results, kills, resumes, errors."""

import json
import os
import shutil
import signal
import sqlite3
import time

import pytest
from commands import run, start, status_of, succeed

SMALL = [
    "experiment=nas_digits",
    "debug=smoke",
    "logger=csv",
    "callbacks.progress=null",
    "space.layers=2",
    "method.samples=14",
    "method.batch=4",
]
COLUMNS = "number, tokens, log_probs, arm, reward, accuracies, error, same_as"


def read_trials(folder, where="1"):
    path = folder / "trials.sqlite"
    if not path.exists():
        return []
    with sqlite3.connect(path) as database:
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return []
        return database.execute(
            f"SELECT {COLUMNS} FROM trials WHERE {where} ORDER BY number"
        ).fetchall()


def wait_for_trials(folder, ended):
    deadline = time.monotonic() + 400
    while len(read_trials(folder, "ended IS NOT NULL")) < ended:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    output = succeed("search.py", *SMALL, f"hydra.run.dir={folder}")
    assert f"python train.py architecture={folder}" in output
    return folder


def test_search_writes_its_run_folder(uninterrupted):
    names = {path.name for path in uninterrupted.iterdir()}
    assert {"architecture.json", "architecture.png", "trials.sqlite", "metrics.csv"} <= names
    assert "report.html" in names
    assert status_of(uninterrupted) == "complete"
    assert len(read_trials(uninterrupted, "ended IS NOT NULL")) == 14


@pytest.mark.parametrize("ended", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 6)), 9])
def test_killed_search_resumes_with_equal_results(ended, uninterrupted, tmp_path):
    process = start("search.py", *SMALL, f"hydra.run.dir={tmp_path}")
    wait_for_trials(tmp_path, ended)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = read_trials(tmp_path, "ended IS NOT NULL")
    assert ended <= len(before) < 14
    succeed("search.py", f"resume={tmp_path}")
    assert read_trials(tmp_path)[: len(before)] == before
    assert read_trials(tmp_path) == read_trials(uninterrupted)  # equal children, equal controller
    architectures = [(f / "architecture.json").read_text() for f in (tmp_path, uninterrupted)]
    assert architectures[0] == architectures[1]


@pytest.mark.parametrize(
    ("signum", "status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_signal_stops_at_once_and_saves_the_search(signum, status, tmp_path):
    process = start("search.py", *SMALL, "evaluation.epochs=200", f"hydra.run.dir={tmp_path}")
    wait_for_trials(tmp_path, 1)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status, errors
    assert status_of(tmp_path) == "interrupted"
    assert f"resume={tmp_path}" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "method",
    ["nasnet", *(pytest.param(m, marks=pytest.mark.slow) for m in ("random_search", "evolution"))],
)
def test_each_method_searches_the_table(method, tmp_path):
    arguments = ["experiment=nas_bench_201", f"method={method}", "method.samples=30", "logger=csv"]
    status, _, errors = run("search.py", *arguments, f"hydra.run.dir={tmp_path}")
    assert status == 0, errors
    assert (
        len(read_trials(tmp_path)) == 31
    )  # 30 trials, and one finalist with the mean over its trainings
    assert "Trials" in errors  # the progress bar


def test_a_search_that_is_finished_early_chooses_among_its_trials(tmp_path):
    arguments = ["experiment=nas_bench_201", "method.samples=30", "logger=csv"]
    succeed("search.py", *arguments, f"hydra.run.dir={tmp_path}")
    (tmp_path / "architecture.json").unlink()
    longer = [f"resume={tmp_path}", "method.samples=100000", "finish=true"]
    output = succeed("search.py", *longer)
    assert len(read_trials(tmp_path)) == 31  # no further trial; the finalist was there
    assert (tmp_path / "architecture.json").exists()
    assert "train it" in output


@pytest.mark.slow
def test_a_later_resume_trains_further_finalists_alike(uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "run")
    trainings = ["method.finalist_epochs=${method.batch}", "method.finalist_seeds=2"]
    output = succeed("search.py", f"resume={tmp_path / 'run'}", "method.finalists=1", *trainings)
    assert "after 4 epochs of training from scratch (mean of 2 trainings)" in output
    output = succeed("search.py", f"resume={tmp_path / 'run'}", "method.finalists=3")
    assert "after 4 epochs of training from scratch (mean of 2 trainings)" in output
    finalists = read_trials(tmp_path / "run", "arm = 'finalist'")
    assert [len(json.loads(one[5])) for one in finalists] == [4, 4, 4]


def test_several_searches_end_with_a_report_of_all(tmp_path):
    settings = ["experiment=nas_bench_201", "method.samples=20", "logger=csv"]
    sweep = ["-m", "method=random_search,evolution", "seed=1,2", f"hydra.sweep.dir={tmp_path}"]
    output = succeed("search.py", *settings, *sweep)
    assert output.splitlines()[-1].split() == ["all", "runs", str(tmp_path / "report.html")]
    page = (tmp_path / "report.html").read_text()
    assert "4 runs in 2 groups of equal settings, seeds 1, 2." in page
    assert "evolution, seed 2" in page
    assert any(line.startswith("evolution ") and "2 runs" in line for line in output.splitlines())
    assert "Best reward so far, by group" in page


def test_only_an_interrupted_search_can_be_finished(tmp_path):
    status, _, errors = run("search.py", "finish=true", f"hydra.run.dir={tmp_path / 'run'}")
    assert status == 2
    assert "search.py resume=RUN finish=true" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "experiment", ["nas_digits", pytest.param("nas_bench_201", marks=pytest.mark.slow)]
)
def test_dry_run_prints_the_cost_and_leaves_no_folder(experiment, tmp_path):
    folder = tmp_path / "run"
    arguments = [f"experiment={experiment}", "dry_run=true", "logger=csv"]
    output = succeed("search.py", *arguments, f"hydra.run.dir={folder}")
    for word in ("space", "architectures", "whole search"):
        assert any(line.startswith(word) for line in output.splitlines())
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["method.control=1"], "method.control must be in [0, 1)", marks=pytest.mark.slow
        ),
        (["trainer.devices=2"], "trainer.devices=1"),
        pytest.param(["space.pools=[9]"], "space.pools", marks=pytest.mark.slow),
        (["evaluation.penalty=2"], "penalty"),
        (["name=${oc.env:NO_SUCH_VARIABLE}"], "NO_SUCH_VARIABLE"),
        (["dry_run=${x}"], "'x' not found"),
    ],
)
def test_users_error_is_one_line(arguments, message, tmp_path):
    folder = tmp_path / "run"
    status, _, errors = run("search.py", *SMALL, *arguments, f"hydra.run.dir={folder}")
    (line,) = (line for line in errors.splitlines() if line.startswith("error:"))
    assert status == 2, errors
    assert message in line
    assert "Traceback" not in errors
    assert not folder.exists()


def test_folder_of_a_search_is_refused_to_another_search(uninterrupted):
    before = {path: path.stat().st_mtime for path in uninterrupted.rglob("*")}
    status, _, errors = run("search.py", *SMALL, "seed=7", f"hydra.run.dir={uninterrupted}")
    assert status == 2
    assert f"holds a run; continue it with resume={uninterrupted}" in errors
    assert {path: path.stat().st_mtime for path in uninterrupted.rglob("*")} == before


@pytest.mark.slow
def test_second_search_on_one_folder_is_refused(tmp_path):
    first = start("search.py", *SMALL, "evaluation.epochs=200", f"hydra.run.dir={tmp_path}")
    wait_for_trials(tmp_path, 1)
    status, _, errors = run("search.py", f"resume={tmp_path}")
    assert status == 2, errors
    assert "another command writes into this folder" in errors
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
