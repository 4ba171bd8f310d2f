"""Searches with children on workers of Ray, run as commands: results, kills, interruptions."""

import json
import os
import signal
import subprocess
import time

import pytest
from cluster import cluster_of_nodes, find_raylet, kill_node
from commands import run, start, status_of, succeed
from test_trial_commands import SMALL, read_trials, wait_for_trials

RAY = [*SMALL, "executor=ray", "executor.slots=2", "threads=1"]


def list_training_workers(search):
    """Return the process ids of a search's Ray workers that train a child."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    parents, training = {}, []
    for line in listed.splitlines():
        process, parent, name = line.split(None, 2)
        parents[int(process)] = int(parent)
        if "ray::Worker.train" in name:
            training.append(int(process))

    def is_descendant(process):
        return process == search or (process in parents and is_descendant(parents[process]))

    return [process for process in training if is_descendant(process)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    succeed("search.py", *RAY, f"hydra.run.dir={folder}")
    return folder


@pytest.mark.slow
def test_ray_trains_the_same_children_as_one_process(uninterrupted, tmp_path):
    succeed("search.py", *SMALL, "threads=1", f"hydra.run.dir={tmp_path}")
    assert len(read_trials(uninterrupted, "ended IS NOT NULL")) == 14
    children = [  # the seed of a child depends on its number, so the number is part of the key
        {(row[0], row[1]): row[5] for row in read_trials(folder, "same_as IS NULL")}
        for folder in (uninterrupted, tmp_path)
    ]
    common = set(children[0]) & set(children[1])
    assert {(row[0], row[1]) for row in read_trials(tmp_path)[:4] if row[7] is None} <= common
    assert all(children[0][child] == children[1][child] for child in common)


@pytest.mark.slow
def test_killed_worker_loses_only_its_child(tmp_path):
    search = start("search.py", *RAY, "evaluation.epochs=30", f"hydra.run.dir={tmp_path}")
    wait_for_trials(tmp_path, 2)
    deadline = time.monotonic() + 60
    while not (training := list_training_workers(search.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    before = read_trials(tmp_path, "ended IS NOT NULL")
    os.kill(training[0], signal.SIGKILL)
    _, errors = search.communicate(timeout=300)
    assert search.returncode == 0, errors
    after = read_trials(tmp_path)
    assert [row for row in after if row in before] == before
    assert len(after) == 14
    assert all(row[6] is None for row in after)  # no error: the child was started again
    assert all(len(json.loads(row[5])) == 30 for row in after)


@pytest.mark.slow
def test_killed_search_ends_its_workers_and_can_be_resumed(tmp_path):
    search = start("search.py", *RAY, "evaluation.epochs=10", f"hydra.run.dir={tmp_path}")
    wait_for_trials(tmp_path, 5)
    training = list_training_workers(search.pid)
    os.kill(search.pid, signal.SIGKILL)
    search.communicate()
    before = read_trials(tmp_path, "ended IS NOT NULL")
    deadline = time.monotonic() + 60
    while any(os.path.exists(f"/proc/{process}") for process in training):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    succeed("search.py", f"resume={tmp_path}")
    assert [row for row in read_trials(tmp_path) if row in before] == before
    assert len(read_trials(tmp_path, "ended IS NOT NULL")) == 14


@pytest.mark.slow
@pytest.mark.parametrize("service", ["gcs_server", "raylet"])
def test_death_of_ray_is_one_line_and_the_search_can_be_resumed(service, tmp_path):
    search = start("search.py", *RAY, "evaluation.epochs=10", f"hydra.run.dir={tmp_path}")
    wait_for_trials(tmp_path, 2)
    listed = subprocess.run(
        ["ps", "-o", "pid=,comm=", "--ppid", str(search.pid)], capture_output=True, text=True
    ).stdout
    (process,) = (int(line.split()[0]) for line in listed.splitlines() if service in line)
    before = read_trials(tmp_path, "ended IS NOT NULL")
    os.kill(process, signal.SIGKILL)
    _, errors = search.communicate(timeout=50)  # Ray itself would wait for 60 seconds
    assert search.returncode == 2, errors
    assert "Traceback" not in errors
    (line,) = (line for line in errors.splitlines() if line.startswith("error: "))
    assert f"({service}) of Ray has died" in line
    assert line.endswith(f"python search.py resume={tmp_path}")
    assert status_of(tmp_path) == "interrupted"
    succeed("search.py", f"resume={tmp_path}")
    assert [row for row in read_trials(tmp_path) if row in before] == before
    assert len(read_trials(tmp_path, "ended IS NOT NULL")) == 14


@pytest.fixture
def cluster():
    with cluster_of_nodes(2) as (cluster, nodes):
        yield cluster, nodes


def begin_search(address, epochs, folder):
    """Start a search on a cluster, and wait until two of its trials have ended."""
    settings = [*SMALL, "executor=ray", f"executor.address={address}", "threads=1"]
    given = [f"evaluation.epochs={epochs}", f"hydra.run.dir={folder}"]
    search = start("search.py", *settings, *given)
    wait_for_trials(folder, 2)
    return search


def wait_for_workers(nodes):
    """Wait until each node trains a child."""
    deadline = time.monotonic() + 120
    while not all(list_training_workers(find_raylet(node)) for node in nodes):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_search_survives_the_death_of_a_node(cluster, tmp_path):
    cluster, nodes = cluster
    search = begin_search(cluster.address, 30, tmp_path)
    wait_for_workers(nodes)
    before = read_trials(tmp_path, "ended IS NOT NULL")
    assert len(before) < 10
    kill_node(nodes[0])
    output, errors = search.communicate(timeout=400)
    assert search.returncode == 0, errors
    assert status_of(tmp_path) == "complete"
    after = read_trials(tmp_path, "ended IS NOT NULL")
    assert [row for row in after if row in before] == before
    assert [row[0] for row in after] == list(range(14))
    assert all(row[6] is None for row in after)  # no error: the child was started again
    assert all(len(json.loads(row[5])) == 30 for row in after)
    (line,) = (line for line in errors.splitlines() + output.splitlines() if "node" in line)
    assert "of the cluster has died; children that start again: 1" in line
    assert "Traceback" not in errors


@pytest.mark.slow
def test_the_death_of_all_nodes_is_one_line_and_the_search_can_be_resumed(cluster, tmp_path):
    cluster, nodes = cluster
    address = f"executor.address={cluster.address}"
    search = begin_search(cluster.address, 10, tmp_path)
    for node in nodes:
        kill_node(node)
    _, errors = search.communicate(timeout=120)
    assert search.returncode == 2, errors
    assert "Traceback" not in errors
    (line,) = (line for line in errors.splitlines() if line.startswith("error: "))
    assert "all nodes that train children have died" in line
    assert line.endswith(f"python search.py resume={tmp_path} {address}")
    assert status_of(tmp_path) == "interrupted"
    before = read_trials(tmp_path, "ended IS NOT NULL")
    cluster.add_node(num_cpus=1)
    succeed("search.py", f"resume={tmp_path}", address)
    assert [row for row in read_trials(tmp_path) if row in before] == before
    assert len(read_trials(tmp_path, "ended IS NOT NULL")) == 14


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_and_saves_the_search(tmp_path):
    search = start("search.py", *RAY, "evaluation.epochs=300", f"hydra.run.dir={tmp_path}")
    wait_for_trials(tmp_path, 1)
    os.killpg(search.pid, signal.SIGINT)
    _, errors = search.communicate(timeout=60)
    assert search.returncode == 130, errors
    assert status_of(tmp_path) == "interrupted"
    assert "Traceback" not in errors
    assert list_training_workers(search.pid) == []


@pytest.mark.slow
def test_finalists_train_on_workers(tmp_path):
    more = ["method.finalists=2", "method.finalist_epochs=2"]
    succeed("search.py", *RAY, *more, f"hydra.run.dir={tmp_path}")
    assert len(read_trials(tmp_path, "arm = 'finalist' AND ended IS NOT NULL")) == 2


def test_unreachable_cluster_is_an_error_of_one_line(tmp_path):
    folder = tmp_path / "run"
    arguments = [*RAY, "executor.address=127.0.0.1:1", f"hydra.run.dir={folder}"]
    status, _, errors = run("search.py", *arguments)
    (line,) = (line for line in errors.splitlines() if line.startswith("error:"))
    assert status == 2, errors
    assert "no cluster answers at 127.0.0.1:1" in line
    assert not folder.exists()
