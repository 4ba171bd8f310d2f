"""Ray itself: start it on this machine or join a cluster, and see which of its nodes are alive."""

import math
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# When a node dies, Ray prints pages of its own logs, unless this variable is set before its import
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
try:
    import ray
except ImportError:
    ray = None  # type: ignore[assignment]

from lightning_nas.errors import InputError, list_some

PROBE = 5.0  # seconds to wait for an answer from the host of a cluster
JOIN_TIMEOUT = 15.0  # seconds to join a cluster; a host that needs longer does not run Ray


def start_ray(address: str, cpus: float | None) -> None:
    """Start Ray on this machine, or join a cluster.

    Args:
        address: ``local``, ``auto``, or ``HOST:PORT``.
        cpus: Number of CPU cores for all children at once; None = all of this machine.

    Raises:
        InputError: If no cluster answers there, or it cannot be joined.
    """
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        settings |= {
            "num_cpus": None if cpus is None else math.ceil(cpus),
            "include_dashboard": False,
            "runtime_env": {"env_vars": {"PYTHONPATH": paths}},
        }
    else:
        address = _find_address(address)
        settings["runtime_env"] = {"py_modules": [str(Path(__file__).parents[1])]}
    try:
        ray.init(address, **settings)
    except Exception as error:  # Ray raises the class Exception itself if a process does not start
        reason = " ".join(str(error).split())
        problem = "Ray does not start" if address == "local" else "cannot join"
        raise InputError(f"executor.address={address}: {problem}: {reason}") from error


def list_services() -> dict[str, tuple[str, int]]:
    """Return the addresses of the two processes of Ray that this process needs."""
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    (node,) = (one for one in ray.nodes() if one["NodeID"] == context.get_node_id())
    return {
        "the head (gcs_server)": (host.strip("[]"), int(port)),
        "the node (raylet)": (node["NodeManagerAddress"], node["NodeManagerPort"]),
    }


def answers(address: tuple[str, int]) -> bool:
    """Return whether a process accepts connections at an address."""
    try:
        socket.create_connection(address, PROBE).close()
    except OSError:
        return False
    return True


def _find_address(address: str) -> str:
    """Return the address HOST:PORT of the head node of the cluster.

    The function first checks that the head node answers: Ray itself would wait for minutes.
    """
    head = address
    if address == "auto":
        file = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray/ray_current_cluster"
        head = os.environ.get("RAY_ADDRESS") or (file.read_text() if file.exists() else "")
        if not head:
            raise InputError(
                "executor.address=auto: no cluster runs on this machine; start one with ray start "
                "--head, or set executor.address=HOST:PORT"
            )
    host, _, port = head.strip().rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise InputError(f"executor.address={address}: legal: local, auto, HOST:PORT; got {head}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE).close()
    except OSError as error:
        raise InputError(
            f"executor.address={address}: no cluster answers at {head}: {error.strerror or error}"
        ) from error
    try:
        join = [sys.executable, "-c", "import ray, sys; ray.init(sys.argv[1])", head.strip()]
        subprocess.run(join, timeout=JOIN_TIMEOUT, capture_output=True, check=True)
    except subprocess.SubprocessError as error:
        errors = (getattr(error, "stderr", None) or b"").decode()
        advice = (
            "; the cluster needs a token: export RAY_AUTH_MODE=token"
            if "AuthToken" in errors
            else ""
        )
        raise InputError(
            f"executor.address={address}: cannot join a Ray cluster at {head}{advice}"
        ) from error
    return head.strip()


class Nodes:
    """Nodes of the cluster that are alive and have room for a child.

    Args:
        cpus: CPU cores per child, above 0.
        gpus: GPUs per child, at least 0; None = 1 if a node has GPUs, else 0.

    Attributes:
        gpus: GPUs per child, at least 0.
        addresses: Addresses of the raylets, by the identifiers that Ray gave the nodes.
        room: Number of children that fit on these nodes at once.
    """

    def __init__(self, cpus: float, gpus: float | None) -> None:
        most = max((node["Resources"].get("GPU", 0) for node in _list_living()), default=0)
        self.cpus = cpus
        self.gpus = min(1, most) if gpus is None else gpus
        self.addresses: dict[str, tuple[str, int]] = {}
        self.room = 0
        self._dead: set[str] = set()  # nodes that died before Ray noticed it
        self.update()

    def update(self, suspect: str | None = None) -> dict[str, str]:
        """Ask Ray for its nodes; return the hosts of those that have died since the last time.

        A child must fit on one node, so the room is counted node by node.

        Args:
            suspect: Node to connect to: Ray needs ten seconds or more to notice that a node died.
        """
        known, self.addresses, self.room = self.addresses, {}, 0
        if suspect in known and not answers(known[suspect]):
            self._dead.add(suspect)
        for node in _list_living():
            room = count_room(node["Resources"], self.cpus, self.gpus)
            if room and node["NodeID"] not in self._dead:
                self.addresses[node["NodeID"]] = node["NodeManagerAddress"], node["NodeManagerPort"]
                self.room += room
        return {name: host for name, (host, _) in known.items() if name not in self.addresses}

    def check_room(self) -> None:
        """Raise InputError if not even one child fits on any node."""
        if not self.room:
            nodes = [
                f"{node['Resources'].get('CPU', 0):g} CPUs and "
                f"{node['Resources'].get('GPU', 0):g} GPUs"
                for node in _list_living()
            ]
            raise InputError(
                f"not enough resources for a child with {self.cpus:g} CPUs and {self.gpus:g} GPUs "
                f"(executor.cpus, executor.gpus): Ray's nodes have {list_some(nodes)}"
            )


def count_room(resources: dict[str, float], cpus: float, gpus: float) -> int:
    """Return the number of children that fit on one node at once.

    Args:
        resources: Resources of the node, by Ray's names.
        cpus: CPU cores per child, above 0.
        gpus: GPUs per child, at least 0.
    """
    by_gpus = int(resources.get("GPU", 0) / gpus) if gpus else sys.maxsize
    return min(int(resources.get("CPU", 0) / cpus), by_gpus)


def _list_living() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]
