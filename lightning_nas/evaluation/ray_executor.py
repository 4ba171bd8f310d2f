"""Executor that evaluates architectures on Ray's workers, on this machine or on a cluster.

A worker is a process that evaluates many children, so a worker imports torch and loads the images
only once. If a worker dies, only its child is affected: the child starts again in another worker.
"""

import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import ray
    from ray import exceptions
except ImportError:
    ray = None  # type: ignore[assignment]

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import Evaluator, Poll
from lightning_nas.layers.operations import ADDED, register_operations
from lightning_nas.storage.trial import Outcome

PACKAGE = "ray==2.60.0"
PROBE = 5.0  # seconds to wait for an answer from the host of a cluster
JOIN_TIMEOUT = 15.0  # seconds to join a cluster; a host that needs longer does not run Ray
POLL_INTERVAL = 0.5  # seconds between two checks of the time limit and of signals
GRACE = 60.0  # seconds between the time limit of a child and the kill of its worker


@dataclass
class _Child:
    """A child that is being evaluated."""

    number: int
    architecture: Architecture
    seed: int
    worker: Any
    deaths: int = 0  # number of workers that died while they trained this child
    is_overdue: bool = False
    start_time: float | None = None  # None while the child waits for a worker

    def seconds(self) -> float:
        return 0.0 if self.start_time is None else time.monotonic() - self.start_time


class RayExecutor:
    """Executor that evaluates several architectures at once on Ray's workers.

    A child gets the penalty of the evaluator if the child runs out of memory, if no retry is left,
    or if the child runs a minute longer than the time limit. Normally the evaluator enforces the
    time limit itself. If Ray already runs in this process, the executor uses that Ray.

    Args:
        evaluate: Evaluator. Every worker receives the evaluator once.
        address: ``local``: workers on this machine, which end with this process. ``auto``: the
            cluster of this machine. ``HOST:PORT``: the head of a cluster. The machines of a cluster
            need the packages of requirements.txt; Ray sends ``lightning_nas`` to the machines.
        slots: Number of children at once, at least 1; None = as many as the resources allow at the
            start.
        cpus: CPU cores per child, above 0.
        gpus: GPUs per child, at least 0; a fraction lets several children share a GPU. None = 1 if
            there are GPUs, else 0.
        retries: Number of restarts of a child whose worker died, at least 0.

    Raises:
        InputError: If Ray is not installed, if a number is out of its range, if the cluster does
            not answer within 5 seconds or cannot be joined within 15 seconds, or if ``slots`` is
            None and the resources are too small for one child.
    """

    def __init__(
        self,
        evaluate: Evaluator,
        address: str = "local",
        slots: int | None = None,
        cpus: float = 1,
        gpus: float | None = None,
        retries: int = 2,
    ) -> None:
        if ray is None:
            raise InputError(f"Ray is not installed: pip install {PACKAGE}")
        if (slots is not None and slots < 1) or cpus <= 0 or (gpus or 0) < 0 or retries < 0:
            raise InputError(
                "executor.slots must be at least 1, cpus above 0, gpus and retries at least 0, "
                f"got {slots}, {cpus}, {gpus} and {retries}"
            )
        self.retries = retries
        self.threads = max(1, int(cpus))  # of torch in a worker, to estimate the cost
        self.penalty = getattr(evaluate, "penalty", 0.0)
        self.time_limit: float | None = getattr(evaluate, "time_limit", None)
        self._idle: list[Any] = []  # workers
        self._running: dict[Any, _Child] = {}  # child by the stream of its results
        self._owns_ray = not ray.is_initialized()
        if self._owns_ray:
            _start_ray(address, None if slots is None else slots * cpus)
        try:
            resources = ray.cluster_resources()
            gpus = min(1, resources.get("GPU", 0)) if gpus is None else gpus
            self.slots = slots or _count_slots(resources, cpus, gpus)
        except BaseException:
            self.close()
            raise
        self._evaluate = ray.put((evaluate, ADDED))  # workers register the added operations
        # An actor keeps its process; a task does not. A process cannot change its GPU.
        self._new_worker = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Worker).remote

    def submit(self, number: int, architecture: Architecture, seed: int) -> None:
        """Send an architecture to a worker."""
        worker = self._idle.pop() if self._idle else self._new_worker([self._evaluate])
        self._send(_Child(number, architecture, seed, worker))

    def _send(self, child: _Child) -> None:
        train = child.worker.train.options(num_returns="streaming")
        self._running[train.remote(child.architecture, child.seed)] = child

    def wait(self, poll: Poll) -> tuple[int, Outcome]:
        """Return the number and the outcome of the next child that ends."""
        while True:
            poll()
            ready: list[Any] = ray.wait(list(self._running), timeout=POLL_INTERVAL)[0]
            for stream in ready:
                child = self._running.pop(stream)
                try:
                    outcome: Outcome | None = ray.get(next(stream))
                except exceptions.RayError as error:
                    outcome = self._handle_failure(child, error)
                else:
                    if outcome is None:
                        child.start_time = time.monotonic()
                        self._running[stream] = child
                    else:
                        self._idle.append(child.worker)
                if outcome is not None:
                    return child.number, outcome
            self._kill_overdue()

    def _handle_failure(self, child: _Child, error: Exception) -> Outcome | None:
        """Restart a child whose worker died, or return the outcome of a child that failed.

        Raises:
            Exception: The exception of the evaluator. A restart would raise the same exception.
        """
        if isinstance(error, exceptions.RayTaskError):
            if isinstance(error.cause, InputError):
                raise error.cause from None
            raise error
        if child.is_overdue:
            why = f"longer than {self.time_limit:g} s"
        elif isinstance(error, exceptions.OutOfMemoryError):
            why = "out of memory"
        elif not isinstance(error, exceptions.RayActorError):
            raise error
        else:
            child.deaths += 1
            if child.deaths <= self.retries:
                child.worker, child.start_time = self._new_worker([self._evaluate]), None
                self._send(child)
                return None
            why = f"workers that died during this child: {child.deaths}"
        return Outcome(self.penalty, seconds=round(child.seconds(), 3), error=why)

    def _kill_overdue(self) -> None:
        if self.time_limit is None:
            return
        for child in self._running.values():
            if child.seconds() > self.time_limit + GRACE and not child.is_overdue:
                child.is_overdue = True
                ray.kill(child.worker)

    def close(self) -> None:
        """Drop the running children. Stop Ray if this executor started Ray."""
        if self._owns_ray:
            ray.shutdown()
        else:
            for worker in [*self._idle, *(child.worker for child in self._running.values())]:
                ray.kill(worker)
        self._idle.clear()
        self._running.clear()


class _Worker:
    """Process that evaluates one architecture after another.

    Args:
        references: List with one reference to the evaluator and the added operations. Ray replaces
            a reference by its value, but not a reference inside a list.
    """

    def __init__(self, references: list[Any]) -> None:
        self.references = references
        self.evaluate: Evaluator | None = None

    def train(self, architecture: Architecture, seed: int) -> Iterator[Outcome | None]:
        """Yield None when the training starts, then the outcome."""
        if self.evaluate is None:
            self.evaluate, operations = ray.get(self.references[0])
            register_operations(operations)
        yield None
        yield self.evaluate(architecture, seed, lambda: None)


def _start_ray(address: str, cpus: float | None) -> None:
    """Start Ray on this machine, or join a cluster."""
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
    except (ConnectionError, RuntimeError, exceptions.RayError) as error:
        raise InputError(f"executor.address={address}: {' '.join(str(error).split())}") from error


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


def _count_slots(resources: dict[str, float], cpus: float, gpus: float) -> int:
    """Return the number of children that fit into the resources at once."""
    all_cpus, all_gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    slots = min(int(all_cpus / cpus), int(all_gpus / gpus) if gpus else sys.maxsize)
    if not slots:
        raise InputError(
            f"not enough resources for a child with {cpus:g} CPUs and {gpus:g} GPUs "
            f"(executor.cpus, executor.gpus): Ray has {all_cpus:g} CPUs and {all_gpus:g} GPUs"
        )
    return slots
