"""``python -m lightning_nas.judge RUN``: what it writes, kills, signals, refusals.

It runs in this process where nothing has to be killed: importing torch takes longer than the rest.
"""

import io
import json
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing, redirect_stderr, redirect_stdout

import pytest
import torch
from commands import run, start

from lightning_nas.callbacks.interrupt import Interrupted
from lightning_nas.judge.__main__ import main
from lightning_nas.judge.facts import describe_state
from lightning_nas.judge.finished_search import open_search, score_architectures
from lightning_nas.judge.judge import choose_candidates, poll_signals

pytestmark = pytest.mark.slow  # real searches, one after the other

SEARCH = ["debug=smoke", "callbacks.progress=null", "space.blocks=2", "logger=csv"]
SMALL = [
    *("--architectures", 4, "--sampled", 2, "--epochs", 1, "--derived-seeds", 2),
    *("--batches", 30, "evaluation.network.filters=4"),
]
MODULE = ("-m", "lightning_nas.judge")
NAMES = {f"weight_sharing.{suffix}" for suffix in ("json", "svg", "png")}
OWN = NAMES | {"judged.sqlite", "judged.lock"}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    status, _, errors = run("search.py", *SEARCH, f"hydra.run.dir={folder}")
    assert status == 0, errors
    return folder


@pytest.fixture(scope="module")
def unbroken(searched, tmp_path_factory):
    folder = copied(searched, tmp_path_factory.mktemp("unbroken") / "run")
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        assert judge(folder, *SMALL) == 0
    return folder, output.getvalue(), errors.getvalue()


def copied(searched, folder):
    """A run folder that has been moved; its configuration names the old place."""
    shutil.copytree(searched, folder)
    return folder


def said(folder):
    """The facts, but for where the run lies."""
    return json.loads((folder / "weight_sharing.json").read_text()) | {"run": None}


def ended(folder, where="ended > 0"):
    path = folder / "judged.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return 0
        return database.execute(f"SELECT count(*) FROM trials WHERE {where}").fetchone()[0]


def until(folder, count, where="ended > 0"):
    deadline = time.monotonic() + 240
    while ended(folder, where) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def judge(*arguments):
    """Run the command here; return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["judge", *map(str, arguments)])
        try:
            main()
        except SystemExit as ended:
            return ended.code
    return 0


@pytest.fixture
def refused(capsys):
    """Runs the command here, and returns the one line of a user's error."""

    def run_it(*arguments):
        assert judge(*arguments) == 2
        (line,) = (s for s in capsys.readouterr().err.splitlines() if s.startswith("error:"))
        return line

    return run_it


def test_a_run_is_judged(unbroken):
    folder, output, errors = unbroken
    facts = said(folder)
    arms = [one["arm"] for one in facts["architectures"]]
    assert arms == ["control"] * 4 + ["policy"] * 2 + ["derived"]
    assert [len(one["alone"]) for one in facts["architectures"]] == [1] * 6 + [2]
    for one in facts["architectures"]:
        assert set(one["shared"]) == {"batch", "running", "recalibrated"}
        assert all(0 <= accuracy <= 1 for accuracy in [*one["alone"], *one["shared"].values()])
    assert facts["epochs"] == 1
    assert facts["failed"] == []
    assert facts["search"] == describe_state(json.loads((folder / "summary.json").read_text()))
    assert ended(folder) == 8
    assert {"Training", "Scoring"} <= {line.split(":")[0] for line in errors.splitlines()}
    for name in NAMES:
        assert str(folder / name) in output


def test_nothing_else_in_the_run_folder_is_touched_but_its_report(unbroken, searched):
    folder = unbroken[0]
    before = {path.relative_to(searched): path for path in searched.rglob("*") if path.is_file()}
    after = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    assert {str(path) for path in after.keys() - before.keys()} == OWN
    changed = {str(n) for n, path in before.items() if after[n].read_bytes() != path.read_bytes()}
    assert changed == {"report.html"}
    assert "Weight sharing, judged" in (folder / "report.html").read_text()


def test_the_derived_one_scores_as_it_did_in_the_search(unbroken):
    folder = unbroken[0]
    summary = json.loads((folder / "summary.json").read_text())
    (derived,) = (one for one in said(folder)["architectures"] if one["arm"] == "derived")
    assert derived["shared"]["batch"] == pytest.approx(summary["best_reward"], abs=1e-6)


@pytest.mark.parametrize("count", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_what_was_killed_goes_on_and_says_the_same(count, searched, unbroken, tmp_path):
    folder = copied(searched, tmp_path / "run")
    process = start(*MODULE, folder, *SMALL)
    until(folder, count)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert ended(folder) < 8
    assert judge(folder, *SMALL) == 0
    assert said(folder) == said(unbroken[0])


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_in_the_midst_of_a_training(signum, status, searched, tmp_path):
    folder = copied(searched, tmp_path / "run")
    process = start(*MODULE, folder, "--epochs", 500, "--batches", 30, "evaluation.epochs=500")
    until(folder, 1, where="proposed > 0")  # the first training has begun
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert not NAMES & {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_more_architectures_begin_with_the_same_ones(unbroken, tmp_path):
    folder = copied(unbroken[0], tmp_path / "run")
    more = ["--architectures", 6, *SMALL[2:]]
    assert judge(folder, *more) == 0
    before, after = said(unbroken[0])["architectures"], said(folder)["architectures"]
    assert after[:4] == before[:4]
    assert after[6:] == before[4:]
    assert ended(folder) == 10


@pytest.mark.slow
def test_running_statistics_that_were_tracked_are_taken_as_they_are(tmp_path):
    folder = tmp_path / "run"
    search = [*SEARCH, "supernet.batch_norm=running", f"hydra.run.dir={folder}"]
    status, _, errors = run("search.py", *search)
    assert status == 0, errors
    assert judge(folder, *SMALL) == 0
    facts = said(folder)
    assert facts["running_statistics"] == "tracked"
    (derived,) = (one for one in facts["architectures"] if one["arm"] == "derived")
    summary = json.loads((folder / "summary.json").read_text())
    assert derived["shared"]["running"] == pytest.approx(summary["best_reward"], abs=1e-6)


@pytest.mark.slow
def test_workers_of_ray_train_the_same_for_a_search_that_had_none(searched, unbroken, tmp_path):
    folder = copied(searched, tmp_path / "run")
    assert judge(folder, *SMALL, "executor.slots=2", "executor=ray") == 0
    alone = [[one["alone"] for one in said(f)["architectures"]] for f in (folder, unbroken[0])]
    assert alone[0] == alone[1]


def test_a_training_has_as_many_epochs_whichever_way_they_are_given(unbroken, tmp_path):
    folder = copied(unbroken[0], tmp_path / "run")
    others = [word for word in SMALL if word not in ("--epochs", 1)]
    assert judge(folder, *others, "evaluation.epochs=1") == 0
    assert said(folder) == said(unbroken[0])
    assert ended(folder) == 8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_draws_on_a_gpu_are_those_on_a_cpu_and_leave_its_random_numbers_alone(searched):
    found = open_search(searched)
    tokens = []
    for device in ("cpu", "cuda"):
        found.method.to(device)
        state = torch.cuda.get_rng_state()
        tokens.append([one.tokens for one in choose_candidates(found, 3, 8, 1, 1)])
        assert torch.equal(torch.cuda.get_rng_state(), state)
    assert tokens[0] == tokens[1]


def test_a_signal_is_asked_for_with_every_batch_that_is_read(searched):
    found, polls = open_search(searched), []
    tokens = [one.tokens for one in choose_candidates(found, 3, 0, 1, 1)]
    score_architectures(found, tokens, batches=7, poll=lambda: polls.append(1))
    assert len(polls) == len(found.data.val_dataloader()) + 7 + 3 * len(tokens)


def test_processes_that_load_images_and_ended_of_the_signal_are_no_error(searched):
    found = open_search(searched)

    def load(*signals):
        with poll_signals(found):
            for signum in signals:
                os.kill(os.getpid(), signum)
            raise RuntimeError("DataLoader worker (pid(s) 1) exited unexpectedly")  # torch's words

    with pytest.raises(RuntimeError):
        load()
    with pytest.raises(Interrupted) as interrupted:
        load(signal.SIGINT)
    assert interrupted.value.exit_code == 130


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--architectures", 2], "--architectures must be at least 3, got 2"),
        (["--epochs", 0], "--epochs"),
        pytest.param(["--seeds", 0], "--seeds", marks=pytest.mark.slow),
        (["supernet.filters=8"], "supernet.filters=8: legal are evaluation."),
        (["evaluation.epoch=3"], "evaluation.epoch=3: evaluation has "),
        (["evaluation.epochs=x"], "evaluation.epochs must be a whole number"),
        (["--epochs", 1, "evaluation.epochs=2"], "--epochs and evaluation.epochs are the same"),
        (["evaluation.penalty=2"], "penalty in [0, 1]"),
        (["evaluation.network.fliters=8"], "fliters"),
        (["executor.slots=2"], "executor.slots=2: executor has no settings"),
    ],
)
def test_a_setting_out_of_range_is_one_line(arguments, expected, searched, refused):
    assert expected in refused(searched, *arguments)
    assert not (searched / "judged.sqlite").exists()  # the right command is not refused for it


def test_a_folder_that_is_no_run_is_one_line(tmp_path, refused):
    assert f"{tmp_path}: no run folder" in refused(tmp_path)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("checkpoints/last.ckpt", "no last.ckpt; the search has not ended: resume="),
        pytest.param("architecture.json", "no architecture.json", marks=pytest.mark.slow),
    ],
)
def test_a_search_that_has_not_ended_is_one_line(missing, expected, searched, tmp_path, refused):
    folder = copied(searched, tmp_path / "run")
    (folder / missing).unlink()
    assert expected in refused(folder)


def test_a_search_that_was_resumed_and_has_not_ended_is_one_line(searched, tmp_path, refused):
    folder = copied(searched, tmp_path / "run")
    summary = folder / "summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"status": "interrupted"}))
    assert f"resume={folder}" in refused(folder)


def test_a_checkpoint_that_is_none_is_one_line(searched, tmp_path, refused):
    folder = copied(searched, tmp_path / "run")
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"half a file")
    assert "last.ckpt: cannot be read" in refused(folder)


def test_a_search_of_another_method_is_one_line(searched, tmp_path, refused):
    folder = copied(searched, tmp_path / "run")
    config = folder / ".hydra" / "config.yaml"
    of_enas = config.read_text()
    assert "lightning_nas.methods.enas.ENAS" in of_enas
    text = of_enas.replace("method_name: enas", "method_name: nasnet")
    config.write_text(text.replace("methods.enas.ENAS", "methods.nasnet.NASNet"))
    assert "of nasnet, but weights are shared in searches of ENAS alone" in refused(folder)


def test_images_that_are_gone_are_one_line(searched, tmp_path, refused):
    folder = copied(searched, tmp_path / "run")
    config = folder / ".hydra" / "config.yaml"
    head, _, rest = config.read_text().partition("\ndata:\n")
    tail = rest[rest.index("\ncallbacks:") :]
    gone = (
        "  _target_: lightning_nas.data.image_folder.ImageFolder\n  root: /no/such/folder\n"
        "  batch_size: 8\n  validation: 0.5"
    )
    config.write_text(f"{head}\ndata:\n{gone}{tail}")
    assert "data.root=/no/such/folder is not a folder" in refused(folder, "--epochs", 1)


def test_trainings_of_another_budget_are_not_mixed(unbroken, refused):
    line = refused(unbroken[0], "--epochs", 2, *SMALL[6:])
    assert "judged.sqlite is of another training: 1 epochs" in line
    assert "2 epochs" in line
    assert "move judged.sqlite away" in line


@pytest.mark.slow
def test_a_run_that_is_being_judged_is_refused(searched, tmp_path, refused):
    folder = copied(searched, tmp_path / "run")
    first = start(*MODULE, folder, "--epochs", 300)
    until(folder, 1, where="proposed > 0")
    assert "another judge writes into this folder" in refused(folder, "--epochs", 300)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
