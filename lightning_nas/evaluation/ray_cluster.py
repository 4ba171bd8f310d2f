"""Ray itself: start it on this machine or join a cluster, and see whether it still runs."""

import math
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    import ray
except ImportError:
    ray = None  # type: ignore[assignment]

from lightning_nas.errors import InputError

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


def count_slots(resources: dict[str, float], cpus: float, gpus: float) -> int:
    """Return the number of children that fit into the resources at once.

    Args:
        resources: Resources of the whole cluster, by Ray's names.
        cpus: CPU cores per child, above 0.
        gpus: GPUs per child, at least 0.

    Raises:
        InputError: If not even one child fits.
    """
    all_cpus, all_gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    slots = min(int(all_cpus / cpus), int(all_gpus / gpus) if gpus else sys.maxsize)
    if not slots:
        raise InputError(
            f"not enough resources for a child with {cpus:g} CPUs and {gpus:g} GPUs "
            f"(executor.cpus, executor.gpus): Ray has {all_cpus:g} CPUs and {all_gpus:g} GPUs"
        )
    return slots
