"""The options for loggers, the Trainer, callbacks and debugging do what their names say."""

import contextlib
import os
import sqlite3

import pytest
import torch
from commands import ROOT, run, start, start_python, status_of, succeed
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_nas.files import read_csv

QUIET = ["logger=csv", "callbacks.progress=null"]
MLFLOW = ROOT / ".venv" / "mlflow"  # apart: its many packages are no part of the project


def train(folder, *arguments):
    return succeed("train.py", "debug=smoke", *arguments, f"hydra.run.dir={folder}")


def read_metric(folder, name):
    rows = read_csv(folder / "metrics.csv")
    return [float(row[name]) for row in rows if row.get(name)]


def test_tensorboard_has_the_curves_and_callbacks_can_be_combined(tmp_path):
    callbacks = "callbacks=[train,early_stopping,lr_monitor]"
    more = [
        "callbacks.early_stopping.patience=1",
        "trainer.max_epochs=9",
        "callbacks.progress=null",
    ]
    train(tmp_path, "logger=tensorboard", callbacks, "module.optimizer.lr=1e-12", *more)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    accuracies = [event.value for event in events.Scalars("val/accuracy")]
    assert accuracies == pytest.approx(read_metric(tmp_path, "val/accuracy"))
    assert len(accuracies) < 9  # without learning, there is soon an epoch without improvement
    assert len(read_metric(tmp_path, "lr-SGD")) == len(accuracies)


@pytest.mark.slow
def test_many_loggers_log_side_by_side(tmp_path):
    more = ["logger.wandb.offline=true", "tags=[first,second]", "callbacks.progress=null"]
    train(tmp_path, "logger=many", *more)
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert list(tmp_path.glob("wandb/offline-run-*"))
    assert read_metric(tmp_path, "val/accuracy")


def test_a_logger_that_is_not_installed_is_an_error_of_one_line(tmp_path):
    folder = tmp_path / "run"
    status, _, errors = run(
        "train.py", "debug=smoke", "logger=mlflow", f"hydra.run.dir={folder}"
    )  # fmt: skip
    assert status == 2
    (line,) = (line for line in errors.splitlines() if line.startswith("error:"))
    assert "settings of logger.mlflow: Requirement 'mlflow" in line
    assert "pip install" in line


@pytest.mark.slow
@pytest.mark.skipif(
    not MLFLOW.exists(), reason=f"pip install --target {MLFLOW} mlflow-skinny sqlalchemy alembic"
)
def test_mlflow_has_the_curves_and_its_errors_are_one_line(tmp_path):
    installed = {
        "environment": os.environ | {"PYTHONPATH": str(MLFLOW)}, "start": start_python,
    }  # fmt: skip
    common = ["train.py", "debug=smoke", "logger=mlflow", "callbacks.progress=null"]
    command = [*common, f"paths.runs={tmp_path}", f"hydra.run.dir={tmp_path / 'run'}"]
    succeed(*command, **installed)
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        rows = database.execute(
            "SELECT value FROM metrics WHERE key = 'val/accuracy' ORDER BY step"
        )
        accuracies = [value for (value,) in rows]
    assert accuracies == pytest.approx(read_metric(tmp_path / "run", "val/accuracy"))
    files = "logger.mlflow.tracking_uri=file:" + str(tmp_path / "files")  # MLflow 3 refuses files
    status, _, errors = run(*common, files, f"hydra.run.dir={tmp_path / 'no'}", **installed)
    assert status == 2
    assert "Traceback" not in errors
    (line,) = (line for line in errors.splitlines() if line.startswith("error:"))
    assert "settings of logger.mlflow: " in line


@pytest.mark.slow
def test_two_processes_on_a_cpu_train_as_several_gpus_would(tmp_path):
    train(tmp_path, "trainer=ddp_sim", *QUIET)
    assert status_of(tmp_path) == "complete"


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
@pytest.mark.parametrize("trainer", ["gpu", "ddp"])
def test_a_missing_gpu_is_an_error_of_one_line(trainer, tmp_path):
    folder = tmp_path / "run"
    arguments = ["debug=smoke", f"trainer={trainer}", *QUIET, f"hydra.run.dir={folder}"]
    status, _, errors = run("train.py", *arguments)
    assert status == 2
    assert "error: No supported gpu backend found" in errors
    assert not folder.exists()


@pytest.mark.slow
def test_a_profile_shows_where_the_time_went(tmp_path):
    given = ["debug=profile", "trainer=cpu", "data=synthetic", "trainer.max_epochs=1", *QUIET]
    process = start("train.py", *given, "network.filters=4", f"hydra.run.dir={tmp_path}")
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "run_training_epoch" in output + errors


@pytest.mark.slow
def test_a_network_learns_a_few_batches_by_heart(tmp_path):
    given = ["debug=overfit", "data=digits", "trainer.max_epochs=25", *QUIET, "data.batch_size=16"]
    succeed("train.py", *given, "network.filters=8", "network.cells=1", f"hydra.run.dir={tmp_path}")
    assert read_metric(tmp_path, "train/accuracy")[-1] > 0.95


def test_the_configuration_is_printed_before_the_run(tmp_path):
    given = ["experiment=nas_bench_201", "method.samples=3", "tags=[mine]", *QUIET]
    output = succeed(
        "search.py", *given, "extras.print_config=true", f"hydra.run.dir={tmp_path}"
    )  # fmt: skip
    assert "tags:\n- mine\n" in output
    assert f"journal: {tmp_path}/trials.sqlite" in output
