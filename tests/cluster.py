"""A Ray cluster of several nodes on this machine. A node dies as a machine does: as a whole."""

import os
import signal
import subprocess
from contextlib import contextmanager

from ray.cluster_utils import Cluster


@contextmanager
def cluster_of_nodes(count):
    """Start a head that trains no child, and nodes with one CPU each; stop them at the end."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    try:
        yield cluster, [cluster.add_node(num_cpus=1) for _ in range(count)]
    finally:
        cluster.shutdown()


def find_raylet(node):
    """Return the process that starts the workers of a node."""
    (process,) = node.all_processes["raylet"]
    return process.process.pid


def kill_node(node):
    """Kill all processes of a node and its workers, the raylet first: it must not report them."""
    raylet = find_raylet(node)
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(raylet)], capture_output=True, text=True
    ).stdout
    workers = [int(number) for number in listed.split()]
    others = [process.process.pid for group in node.all_processes.values() for process in group]
    for process in dict.fromkeys([raylet, *workers, *others]):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
