"""Searches with children trained from scratch, as a user runs them: killed, resumed, refused."""

import os
import signal
import sqlite3
import time

import pytest
from commands import run, start, status_of

SMALL = [
    "experiment=nas_digits",
    "debug=smoke",
    "logger=csv",
    "callbacks.progress=null",
    "space.layers=2",
    "method.samples=14",
    "method.batch=4",
]
WHAT = "number, tokens, log_probs, arm, reward, accuracies, error, same_as"


def rows(folder, where="1"):
    path = folder / "trials.sqlite"
    if not path.exists():
        return []
    with sqlite3.connect(path) as database:
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return []
        return database.execute(
            f"SELECT {WHAT} FROM trials WHERE {where} ORDER BY number"
        ).fetchall()


def until(folder, ended):
    deadline = time.monotonic() + 120
    while len(rows(folder, "ended IS NOT NULL")) < ended:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    status, output, errors = run("search.py", *SMALL, f"hydra.run.dir={folder}")
    assert status == 0, errors
    assert f"python train.py architecture={folder}" in output
    return folder


def test_a_search_leaves_its_run_folder(unbroken):
    names = {path.name for path in unbroken.iterdir()}
    assert {"architecture.json", "architecture.png", "trials.sqlite", "metrics.csv"} <= names
    assert "report.html" in names
    assert status_of(unbroken) == "complete"
    assert len(rows(unbroken, "ended IS NOT NULL")) == 14


@pytest.mark.parametrize("ended", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 6)), 9])
def test_a_killed_search_goes_on_where_it_was(ended, unbroken, tmp_path):
    process = start("search.py", *SMALL, f"hydra.run.dir={tmp_path}")
    until(tmp_path, ended)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = rows(tmp_path, "ended IS NOT NULL")
    assert ended <= len(before) < 14
    status, _, errors = run("search.py", f"resume={tmp_path}")
    assert status == 0, errors
    assert rows(tmp_path)[: len(before)] == before
    assert rows(tmp_path) == rows(unbroken)  # the same children, the same controller
    architectures = [(f / "architecture.json").read_text() for f in (tmp_path, unbroken)]
    assert architectures[0] == architectures[1]


@pytest.mark.parametrize(
    ("signum", "status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_does_not_wait_for_the_batch_and_saves_the_work(signum, status, tmp_path):
    process = start("search.py", *SMALL, "evaluation.epochs=200", f"hydra.run.dir={tmp_path}")
    until(tmp_path, 1)
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
def test_every_method_searches_the_table(method, tmp_path):
    arguments = ["experiment=nas_bench_201", f"method={method}", "method.samples=30", "logger=csv"]
    status, _, errors = run("search.py", *arguments, f"hydra.run.dir={tmp_path}")
    assert status == 0, errors
    assert len(rows(tmp_path)) == 31  # and the one that was chosen, by the mean of its trainings
    assert "Trials" in errors  # the bar


@pytest.mark.parametrize(
    "experiment", ["nas_digits", pytest.param("nas_bench_201", marks=pytest.mark.slow)]
)
def test_a_dry_run_says_what_it_would_need_and_leaves_nothing(experiment, tmp_path):
    folder = tmp_path / "run"
    arguments = [f"experiment={experiment}", "dry_run=true", "logger=csv"]
    status, output, errors = run("search.py", *arguments, f"hydra.run.dir={folder}")
    assert status == 0, errors
    for word in ("space", "architectures", "whole search"):
        assert any(line.startswith(word) for line in output.splitlines())
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["method.control=1"], "method.control must be in [0, 1)", marks=pytest.mark.slow
        ),
        (["trainer.devices=2"], "trainer.devices=1"),
        pytest.param(["space.pools=[9]"], "space.pools", marks=pytest.mark.slow),
        (["evaluation.penalty=2"], "penalty"),
    ],
)
def test_a_users_error_is_one_line(arguments, said, tmp_path):
    folder = tmp_path / "run"
    status, _, errors = run("search.py", *SMALL, *arguments, f"hydra.run.dir={folder}")
    (line,) = (line for line in errors.splitlines() if line.startswith("error:"))
    assert status == 2, errors
    assert said in line
    assert "Traceback" not in errors
    assert not folder.exists()


def test_a_folder_that_holds_a_search_is_no_place_for_another(unbroken):
    before = {path: path.stat().st_mtime for path in unbroken.rglob("*")}
    status, _, errors = run("search.py", *SMALL, "seed=7", f"hydra.run.dir={unbroken}")
    assert status == 2
    assert f"holds a run: resume={unbroken}" in errors
    assert {path: path.stat().st_mtime for path in unbroken.rglob("*")} == before


@pytest.mark.slow
def test_two_searches_on_one_folder_are_refused(tmp_path):
    first = start("search.py", *SMALL, "evaluation.epochs=200", f"hydra.run.dir={tmp_path}")
    until(tmp_path, 1)
    status, _, errors = run("search.py", f"resume={tmp_path}")
    assert status == 2, errors
    assert "another search writes into this folder" in errors
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
