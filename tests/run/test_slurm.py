"""Searches as SLURM jobs through submitit: the submitted script, and restarted jobs.

The tests need no cluster. Scripts take the place of SLURM's commands and record their arguments.
The jobs are real.
"""

import csv
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
from commands import ROOT, status_of, wait_for
from omegaconf import OmegaConf

from lightning_nas.errors import InputError
from lightning_nas.run import arguments
from lightning_nas.run.arguments import check_launcher, complete_arguments
from lightning_nas.run.folders import command_locks, enter_folder
from lightning_nas.run.jobs import count_jobs

SMALL = ["debug=smoke", "logger=csv", "callbacks.progress=null", "space.blocks=2"]
JOB_ENVIRONMENT = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "42", "SLURM_JOB_NAME": "search",
            "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_JOB_NUM_NODES": "1",
            "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
            "SLURM_JOB_NODELIST": "node1"}  # fmt: skip


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with scripts in place of SLURM's commands; they write their arguments into it."""
    scripts = {
        "srun": "exit 0",
        "sacct": "exit 0",
        "sbatch": f'cp "$1" {tmp_path}/script.sh; echo Submitted batch job 42',
        "scontrol": f'echo "$@" > {tmp_path}/asked',
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def submit(cluster, *settings):
    """Let submitit write its script, stop the waiting command, and return the script's lines."""
    with (cluster / "printed").open("w") as printed:
        process = subprocess.Popen(
            [sys.executable, "search.py", "-m", "hydra/launcher=slurm", *SMALL, *settings,
             f"hydra.sweep.dir={cluster}/sweep"],
            cwd=ROOT,
            stdout=printed,
        )  # fmt: skip
    wait_for(cluster / "script.sh")
    wait_for(cluster / "sweep" / ".submitit")
    while not list(cluster.glob("sweep/.submitit/*/*_submitted.pkl")):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    return (cluster / "script.sh").read_text().splitlines()


def test_script_requests_the_resources_of_the_settings(cluster):
    lines = submit(
        cluster, "seed=1,2,3", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=2",
        "hydra.launcher.timeout_min=90",
    )  # fmt: skip
    asked = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}
    assert {"partition=gpu", "gpus-per-node=2", "time=90", "mem=16GB", "cpus-per-task=4"} <= asked
    assert {"array=0-2%3", "signal=USR2@120", "job-name=enas_micro_digits"} <= asked
    assert lines[-1].startswith("srun ")
    assert "submitit.core._submit" in lines[-1]
    logs = f"{cluster}/sweep/.submitit"
    line = describe_waiting(3, logs, f"{logs}/*/*_log.out")
    assert line in (cluster / "printed").read_text().splitlines()
    assert not list(cluster.rglob("*%*"))


@pytest.mark.slow
def test_preempted_job_is_queued_again_and_continues(cluster):
    every_epoch = "callbacks.save.seconds=0"  # otherwise a few epochs are trained again
    (*_, last) = submit(cluster, "seed=1", "trainer.max_epochs=40", every_epoch)
    folder = cluster / "sweep" / "0"
    words = shlex.split(last)
    words = words[words.index(sys.executable) :]
    job = subprocess.Popen(words, cwd=ROOT, env={**os.environ, **JOB_ENVIRONMENT})
    wait_for(folder / "checkpoints" / "last.ckpt")
    job.send_signal(signal.SIGTERM)  # SLURM sends it first on preemption; the job must not stop yet
    with pytest.raises(subprocess.TimeoutExpired):
        job.wait(4)
    job.send_signal(signal.SIGUSR2)
    assert job.wait(60) != 0
    assert (cluster / "asked").read_text() == "requeue 42\n"
    assert status_of(folder) == "interrupted"
    seconds = read_epoch_seconds(folder)
    assert 1 <= len(seconds) < 40
    again = {**os.environ, **JOB_ENVIRONMENT, "SLURM_RESTART_COUNT": "1"}
    subprocess.run(words, cwd=ROOT, env=again, check=True, timeout=300)
    assert status_of(folder) == "complete"
    assert len(read_epoch_seconds(folder)) == 40
    assert (
        read_epoch_seconds(folder)[: len(seconds)] == seconds
    )  # the first epochs were not trained again


def read_epoch_seconds(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return [row["weights/seconds"] for row in csv.DictReader(file) if row["weights/seconds"]]


def describe_waiting(number, logs, pattern):
    """Return the line that a command prints before it waits for its jobs."""
    return (
        f"{number} jobs: this command waits until all have ended; logs: {logs}; "
        f"to follow them: tail -F {pattern}"
    )


@pytest.mark.slow
def test_jobs_on_this_machine_complete_searches_from_any_folder(tmp_path):
    settings = ["seed=1,2", "hydra/launcher=submitit_local", *SMALL, "hydra.sweep.dir=sweep"]
    command = [sys.executable, str(ROOT / "search.py"), "-m", *settings]
    done = subprocess.run(command, cwd=tmp_path, check=True, text=True, stdout=subprocess.PIPE)
    runs = [tmp_path / "sweep" / name for name in "01"]
    assert [status_of(run) for run in runs] == ["complete", "complete"]
    assert "2 runs, seeds 1, 2" in (tmp_path / "sweep" / "report.html").read_text()
    logs = "sweep/.submitit"
    assert describe_waiting(2, logs, f"{logs}/*_log.out") in done.stdout.splitlines()
    outputs = [path.read_text() for path in tmp_path.glob(f"{logs}/*_log.out")]
    assert len(outputs) == 2
    assert all("train it" in output for output in outputs)
    assert not list(tmp_path.rglob("*%*"))


def test_settings_of_local_jobs_are_those_of_the_user():
    given = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"]
    completed = complete_arguments(["-m", *given])
    assert completed == ["-m", *arguments.LOCAL_JOBS, *given]  # of two values, Hydra takes the last


@pytest.mark.parametrize(
    ("sweeper", "settings", "number"),
    [
        ({"params": None}, ["seed=1"], 1),
        ({"params": None}, ["seed=1,2,3", "threads=1"], 3),
        ({"params": {"seed": "range(4)"}}, ["data.noise=choice(0,1)"], 8),
        ({"params": {"data.noise": "interval(0,1)"}, "n_trials": 20}, ["threads=1"], 20),
    ],
)
def test_number_of_jobs_is_that_of_the_sweeper(sweeper, settings, number):
    config = {"hydra": {"sweeper": sweeper, "overrides": {"task": settings}}}
    assert count_jobs(OmegaConf.create(config)) == number


def test_only_a_restarted_job_may_use_the_folder_of_a_run(tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="holds a run"):
        enter_folder(tmp_path)
    command_locks.close()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    enter_folder(tmp_path)
    command_locks.close()


@pytest.mark.parametrize("name", arguments.LAUNCHERS)
def test_message_on_a_missing_package_has_the_command_to_install_it(name, monkeypatch):
    monkeypatch.setattr(arguments, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install hydra-submitit-launcher==") as raised:
        complete_arguments(["-m", f"hydra/launcher={name}"])
    assert "\n" not in str(raised.value)
    assert arguments.INSTALL_LAUNCHER.split()[-1] in (ROOT / "requirements.txt").read_text()


def test_machine_without_slurm_is_an_error_of_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="srun not found"):
        check_launcher("slurm")
    check_launcher("submitit_local")
    check_launcher("basic")
