"""Children on a real Ray cluster of several nodes: what is lost when a node dies."""

import os
import sys
import time

import pytest
import ray
from behaves import Behaves, begun
from cluster import cluster_of_nodes, kill_node

from lightning_nas.errors import InputError
from lightning_nas.evaluation.ray_executor import RayExecutor

pytestmark = pytest.mark.slow


def nothing():
    pass


@pytest.fixture
def cluster():
    with cluster_of_nodes(2) as (cluster, nodes):
        environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        ray.init(cluster.address, log_to_driver=False, runtime_env={"env_vars": environment})
        try:
            yield cluster, nodes
        finally:
            ray.shutdown()


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def find_node(nodes, executor, number):
    """Return the node that trains a child."""
    (name,) = (t.worker.node for t in executor._running.values() if t.child.number == number)
    (node,) = (node for node in nodes if node.node_id == name)
    return node


def test_children_of_a_dead_node_start_again_on_the_other_nodes(cluster, tmp_path, caplog):
    cluster, nodes = cluster
    executor = RayExecutor(Behaves(tmp_path), retries=0)
    with pytest.raises(InputError, match=r"a child with 2 CPUs.*1 CPUs and 0 GPUs, 1 CPUs and"):
        RayExecutor(Behaves(tmp_path), cpus=2)  # two CPUs in all, but on different nodes
    assert executor.slots == 2

    def poll():
        if len(begun(tmp_path, "waits")) == 2 and len(nodes) == 2:
            dead = find_node(nodes, executor, number=0)
            nodes.remove(dead)
            kill_node(dead)
        if caplog.records:
            (tmp_path / "go").touch()

    for number in range(2):
        executor.submit(number, "waits", seed=number)
    outcomes = dict(executor.wait(poll) for _ in range(2))
    assert {number: outcome.reward for number, outcome in outcomes.items()} == {0: 0, 1: 0.01}
    assert all(outcome.error is None for outcome in outcomes.values())  # not even with retries=0
    assert len(begun(tmp_path, "waits")) == 3
    (warning,) = (record.getMessage() for record in caplog.records)
    assert "of the cluster has died; children that start again: 1; children that fit" in warning
    assert executor.slots == 1

    cluster.add_node(num_cpus=1)  # a node that joins later is used
    wait_until(lambda: executor._check_cluster(at_once=True) or executor.slots == 2)
    (tmp_path / "go").unlink()
    for number in range(2):
        executor.submit(number, "waits", seed=number)

    def release():
        if len(begun(tmp_path, "waits")) == 5:  # both at once
            (tmp_path / "go").touch()

    assert {executor.wait(release)[0] for _ in range(2)} == {0, 1}


def test_errors_of_other_nodes_are_one_line(cluster, tmp_path):
    _, nodes = cluster
    executor = RayExecutor(Behaves(tmp_path))
    executor.submit(0, "cannot be built", seed=0)
    with pytest.raises(InputError, match=r"^on node [\d.]+: images of 2 pixels are too small$"):
        executor.wait(nothing)
    executor.close()

    executor = RayExecutor(Behaves(tmp_path))
    executor.submit(0, "hangs", seed=0)

    def poll():
        while nodes and begun(tmp_path, "hangs"):
            kill_node(nodes.pop())

    with pytest.raises(InputError, match=r"^all nodes .* have died: .* resume=RUN$"):
        executor.wait(poll)
