"""``python -m lightning_nas.judge RUN``: its files, kills, signals and errors.

The command runs in this process unless it has to be killed: importing torch takes most of the time.
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
from commands import start, succeed

from lightning_nas.callbacks.interrupt import Interrupted
from lightning_nas.errors import InputError
from lightning_nas.judge.__main__ import main
from lightning_nas.judge.finished_search import open_search, score_architectures
from lightning_nas.judge.judge import choose_candidates, poll_signals
from lightning_nas.judge.numbers import Numbers
from lightning_nas.storage.run_folder import describe_state

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
    succeed("search.py", *SEARCH, f"hydra.run.dir={folder}")
    return folder


@pytest.fixture(scope="module")
def judged(searched, tmp_path_factory):
    folder = copy_run(searched, tmp_path_factory.mktemp("judged") / "run")
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        assert judge(folder, *SMALL) == 0
    return folder, output.getvalue(), errors.getvalue()


def copy_run(searched, folder):
    """Return a copy of a run folder; its configuration names the old place."""
    shutil.copytree(searched, folder)
    return folder


def read_facts(folder):
    """Return the facts without the path of the run."""
    return json.loads((folder / "weight_sharing.json").read_text()) | {"run": None}


def count_trials(folder, where="ended > 0"):
    path = folder / "judged.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return 0
        return database.execute(f"SELECT count(*) FROM trials WHERE {where}").fetchone()[0]


def wait_for_trials(folder, count, where="ended > 0"):
    deadline = time.monotonic() + 240
    while count_trials(folder, where) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def judge(*arguments):
    """Run the command in this process and return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["judge", *map(str, arguments)])
        try:
            main()
        except SystemExit as exit_:
            return exit_.code
    return 0


@pytest.fixture
def error_of(capsys):
    """Return a function that runs the command and returns its error line."""

    def run_it(*arguments):
        assert judge(*arguments) == 2
        (line,) = (s for s in capsys.readouterr().err.splitlines() if s.startswith("error:"))
        return line

    return run_it


def test_a_run_is_judged(judged):
    folder, output, errors = judged
    facts = read_facts(folder)
    arms = [one["arm"] for one in facts["architectures"]]
    assert arms == ["control"] * 4 + ["policy"] * 2 + ["derived"]
    assert [len(one["alone"]) for one in facts["architectures"]] == [1] * 6 + [2]
    for one in facts["architectures"]:
        assert set(one["shared"]) == {"batch", "running", "recalibrated"}
        assert all(0 <= accuracy <= 1 for accuracy in [*one["alone"], *one["shared"].values()])
    assert facts["epochs"] == 1
    assert facts["failed"] == []
    assert facts["search"] == describe_state(json.loads((folder / "summary.json").read_text()))
    assert count_trials(folder) == 8
    assert {"Training", "Scoring"} <= {line.split(":")[0] for line in errors.splitlines()}
    for name in ("weight_sharing.json", "weight_sharing.svg", "report.html"):
        assert str(folder / name) in output
    assert "\nDid the search beat random search? " in output


def test_only_its_own_files_and_the_report_change_in_the_run_folder(judged, searched):
    folder = judged[0]
    before = {path.relative_to(searched): path for path in searched.rglob("*") if path.is_file()}
    after = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    assert {str(path) for path in after.keys() - before.keys()} == OWN
    changed = {str(n) for n, path in before.items() if after[n].read_bytes() != path.read_bytes()}
    assert changed == {"report.html"}
    assert (
        "Do the shared weights rank architectures correctly?"
        in (folder / "report.html").read_text()
    )


def test_the_derived_architecture_scores_as_in_the_search(judged):
    folder = judged[0]
    summary = json.loads((folder / "summary.json").read_text())
    (derived,) = (one for one in read_facts(folder)["architectures"] if one["arm"] == "derived")
    assert derived["shared"]["batch"] == pytest.approx(summary["best_reward"], abs=1e-6)


@pytest.mark.parametrize("count", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_a_killed_judge_resumes_and_writes_the_same_facts(count, searched, judged, tmp_path):
    folder = copy_run(searched, tmp_path / "run")
    process = start(*MODULE, folder, *SMALL)
    wait_for_trials(folder, count)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert count_trials(folder) < 8
    assert judge(folder, *SMALL) == 0
    assert read_facts(folder) == read_facts(judged[0])


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_judge_during_a_training(signum, status, searched, tmp_path):
    folder = copy_run(searched, tmp_path / "run")
    process = start(*MODULE, folder, "--epochs", 500, "--batches", 30, "evaluation.epochs=500")
    wait_for_trials(folder, 1, where="proposed > 0")  # the first training has begun
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert "to resume: the same command" in errors
    assert "Traceback" not in errors
    assert not NAMES & {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_more_architectures_begin_with_the_same_ones(judged, tmp_path):
    folder = copy_run(judged[0], tmp_path / "run")
    more = ["--architectures", 6, *SMALL[2:]]
    assert judge(folder, *more) == 0
    before, after = read_facts(judged[0])["architectures"], read_facts(folder)["architectures"]
    assert after[:4] == before[:4]
    assert after[6:] == before[4:]
    assert count_trials(folder) == 10


@pytest.mark.slow
def test_tracked_running_statistics_are_not_gathered_again(tmp_path):
    folder = tmp_path / "run"
    search = [*SEARCH, "supernet.batch_norm=running", f"hydra.run.dir={folder}"]
    succeed("search.py", *search)
    assert judge(folder, *SMALL) == 0
    facts = read_facts(folder)
    assert facts["running_statistics"] == "tracked"
    (derived,) = (one for one in facts["architectures"] if one["arm"] == "derived")
    summary = json.loads((folder / "summary.json").read_text())
    assert derived["shared"]["running"] == pytest.approx(summary["best_reward"], abs=1e-6)


@pytest.mark.slow
def test_ray_workers_give_the_same_accuracies_as_the_serial_executor(searched, judged, tmp_path):
    folder = copy_run(searched, tmp_path / "run")
    assert judge(folder, *SMALL, "executor.slots=2", "executor=ray") == 0
    alone = [[one["alone"] for one in read_facts(f)["architectures"]] for f in (folder, judged[0])]
    assert alone[0] == alone[1]


def test_other_shared_weights_score_the_final_ranking(judged, tmp_path):
    folder = copy_run(judged[0], tmp_path / "run")
    weights = (folder / "checkpoints" / "last.ckpt").read_bytes()
    assert judge(folder, *SMALL, "--uniform-epochs", 1) == 0
    assert (folder / "checkpoints" / "last.ckpt").read_bytes() == weights
    facts = read_facts(folder)["uniform_weights"]
    samples = json.loads((folder / "summary.json").read_text())["derived_from"]
    arms = [one["arm"] for one in facts["architectures"]]
    assert facts["epochs"] == 1
    assert arms == ["derived"] * samples + ["control"] * samples
    assert all(0 <= one["accuracy"] <= 1 for one in facts["architectures"])
    assert "shared weights trained on uniform samples" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_epochs_can_be_given_as_option_or_as_setting(judged, tmp_path):
    folder = copy_run(judged[0], tmp_path / "run")
    others = [word for word in SMALL if word not in ("--epochs", 1)]
    assert judge(folder, *others, "evaluation.epochs=1") == 0
    assert read_facts(folder) == read_facts(judged[0])
    assert count_trials(folder) == 8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_samples_on_a_gpu_equal_those_on_a_cpu_and_keep_its_random_state(searched):
    found = open_search(searched)
    tokens = []
    for device in ("cpu", "cuda"):
        found.method.to(device)
        state = torch.cuda.get_rng_state()
        tokens.append([one.tokens for one in choose_candidates(found, Numbers(3, 8, 1, 1))])
        assert torch.equal(torch.cuda.get_rng_state(), state)
    assert tokens[0] == tokens[1]


def test_signals_are_polled_with_every_batch_and_every_score(searched):
    found, polls = open_search(searched), []
    tokens = [one.tokens for one in choose_candidates(found, Numbers(3, 0, 1, 1))]
    score_architectures(found, tokens, batches=7, poll=lambda: polls.append(1))
    assert len(polls) == len(found.method.val_dataloader()) + 7 + 3 * len(tokens)


def test_a_signal_that_ends_the_loading_processes_is_an_interruption(searched):
    found = open_search(searched)

    def load(*signals):
        with poll_signals(found):
            for signum in signals:
                os.kill(os.getpid(), signum)
            raise RuntimeError("DataLoader worker (pid(s) 1) exited unexpectedly")  # torch's words

    with pytest.raises(InputError, match="a process that loads images has died"):
        load()
    with pytest.raises(Interrupted) as interrupted:
        load(signal.SIGINT)
    assert interrupted.value.exit_code == 130


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--architectures", 2],
            "must be a whole number of at least 3, got 2",
        ),
        (["--epochs", 0], "--epochs"),
        pytest.param(["--seeds", 0], "--seeds", marks=pytest.mark.slow),
        (["supernet.filters=8"], "supernet.filters=8: legal are evaluation."),
        (["evaluation.epoch=3"], "evaluation.epoch=3: evaluation has "),
        (["evaluation.epochs=x"], "evaluation.epochs must be a whole number"),
        (["--epochs", 1, "evaluation.epochs=2"], "--epochs and evaluation.epochs differ"),
        (["evaluation.penalty=2"], "evaluation.penalty must be a number from 0 to 1, got 2"),
        (["evaluation.network.fliters=8"], "fliters"),
        (["executor.slots=2"], "executor.slots=2: executor has no settings"),
    ],
)
def test_an_illegal_setting_is_an_error_of_one_line(arguments, expected, searched, error_of):
    assert expected in error_of(searched, *arguments)
    assert not (searched / "judged.sqlite").exists()  # so a corrected command can begin


def test_a_folder_without_a_run_is_an_error_of_one_line(tmp_path, error_of):
    assert f"{tmp_path}: not a run folder" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (
            "checkpoints/last.ckpt",
            "the search has not ended (no last.ckpt); to finish it: python search.py resume=",
        ),
        pytest.param("architecture.json", "no architecture.json", marks=pytest.mark.slow),
    ],
)
def test_an_unfinished_search_is_an_error_of_one_line(
    missing, expected, searched, tmp_path, error_of
):
    folder = copy_run(searched, tmp_path / "run")
    (folder / missing).unlink()
    assert expected in error_of(folder)


def test_an_interrupted_resume_is_an_error_of_one_line(searched, tmp_path, error_of):
    folder = copy_run(searched, tmp_path / "run")
    summary = folder / "summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"status": "interrupted"}))
    assert f"resume={folder}" in error_of(folder)


def test_a_damaged_checkpoint_is_an_error_of_one_line(searched, tmp_path, error_of):
    folder = copy_run(searched, tmp_path / "run")
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"half a file")
    assert "last.ckpt: not a readable file of tensors" in error_of(folder)


def test_a_search_of_another_method_is_an_error_of_one_line(searched, tmp_path, error_of):
    folder = copy_run(searched, tmp_path / "run")
    config = folder / ".hydra" / "config.yaml"
    of_enas = config.read_text()
    assert "lightning_nas.methods.enas.ENAS" in of_enas
    text = of_enas.replace("method_name: enas", "method_name: nasnet")
    config.write_text(text.replace("methods.enas.ENAS", "methods.nasnet.NASNet"))
    assert "a run of nasnet; only ENAS shares weights" in error_of(folder)


def test_missing_data_is_an_error_of_one_line(searched, tmp_path, error_of):
    folder = copy_run(searched, tmp_path / "run")
    config = folder / ".hydra" / "config.yaml"
    head, _, rest = config.read_text().partition("\ndata:\n")
    tail = rest[rest.index("\ncallbacks:") :]
    gone = (
        "  _target_: lightning_nas.data.image_folder.ImageFolder\n  root: /no/such/folder\n"
        "  batch_size: 8\n  validation: 0.5"
    )
    config.write_text(f"{head}\ndata:\n{gone}{tail}")
    assert "data.root=/no/such/folder is not a folder" in error_of(folder, "--epochs", 1)


def test_trainings_with_other_epochs_are_not_mixed(judged, error_of):
    line = error_of(judged[0], "--epochs", 2, *SMALL[6:])
    assert "judged.sqlite belongs to another training: 1 epochs" in line
    assert "2 epochs" in line
    assert "move judged.sqlite away" in line


@pytest.mark.slow
def test_a_second_judge_of_the_same_run_is_an_error(searched, tmp_path, error_of):
    folder = copy_run(searched, tmp_path / "run")
    first = start(*MODULE, folder, "--epochs", 300)
    wait_for_trials(folder, 1, where="proposed > 0")
    assert "another judge writes into this folder" in error_of(folder, "--epochs", 300)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
