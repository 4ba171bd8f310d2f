"""Executor that evaluates architectures on Ray's workers, on this machine or on a cluster.

A worker is a long-lived process: it imports torch and unpacks the images once, not for every child.
If a worker dies, only its own child is lost.
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
PROBE = 5.0  # seconds until a host that does not answer counts as unreachable
JOIN = 15.0  # seconds until a host that answers counts as something else than Ray
LOOK = 0.5  # seconds between checks of the clock and of signals
GRACE = 60.0  # seconds after its time limit until a child is killed


@dataclass
class _Child:
    """A child that is being evaluated."""

    number: int
    architecture: Architecture
    seed: int
    worker: Any
    deaths: int = 0  # number of its workers that died
    overdue: bool = False
    began: float | None = None  # None while it waits for a worker

    def seconds(self) -> float:
        return 0.0 if self.began is None else time.monotonic() - self.began


class RayExecutor:
    """Executor that evaluates architectures on Ray's workers, as many at once as resources allow.

    A child gets the penalty of the evaluator if it runs out of memory, if its retries are used up,
    or if it exceeds the time limit of the evaluator by a minute: the evaluator should stop it
    before. If Ray already runs in this process, it is used.

    Args:
        evaluate: Evaluator; it is sent to every worker once.
        address: ``local``: workers on this machine, which end with this process. ``auto``: the
            cluster of this machine. ``HOST:PORT``: the head of a cluster; its machines need the
            packages of requirements.txt, and this package is sent to them.
        slots: Number of children at once, at least 1; None = as many as the resources allow now.
        cpus: CPU cores of a child, above 0.
        gpus: GPUs of a child; a fraction lets children share a GPU. None = 1 if there are any GPUs.
        retries: How often a child is restarted after its worker died.

    Raises:
        InputError: If Ray is not installed, if the cluster does not answer within 5 seconds, if Ray
            cannot be joined within 15 seconds, or if there are not enough resources for one child.
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
        self.threads = max(1, int(cpus))  # torch's, on a worker
        self.penalty = getattr(evaluate, "penalty", 0.0)
        self.time_limit: float | None = getattr(evaluate, "time_limit", None)
        self._idle: list[Any] = []  # workers
        self._running: dict[Any, _Child] = {}  # by the stream of its results
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
        # An actor, not a task: a process cannot change its GPU, and an actor keeps its process.
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
            ready: list[Any] = ray.wait(list(self._running), timeout=LOOK)[0]
            for stream in ready:
                child = self._running.pop(stream)
                try:
                    outcome: Outcome | None = ray.get(next(stream))
                except exceptions.RayError as error:
                    outcome = self._handle_failure(child, error)
                else:
                    if outcome is None:
                        child.began = time.monotonic()
                        self._running[stream] = child
                    else:
                        self._idle.append(child.worker)
                if outcome is not None:
                    return child.number, outcome
            self._kill_overdue()

    def _handle_failure(self, child: _Child, error: Exception) -> Outcome | None:
        """Restart a child whose worker died, or return its outcome if it cannot be restarted.

        Raises:
            Exception: The exception of the evaluator: another worker would raise it, too.
        """
        if isinstance(error, exceptions.RayTaskError):
            if isinstance(error.cause, InputError):
                raise error.cause from None
            raise error
        if child.overdue:
            why = f"longer than {self.time_limit:g} s"
        elif isinstance(error, exceptions.OutOfMemoryError):
            why = "out of memory"
        elif not isinstance(error, exceptions.RayActorError):
            raise error
        else:
            child.deaths += 1
            if child.deaths <= self.retries:
                child.worker, child.began = self._new_worker([self._evaluate]), None
                self._send(child)
                return None
            why = f"its worker died, {child.deaths} times"
        return Outcome(self.penalty, seconds=round(child.seconds(), 3), error=why)

    def _kill_overdue(self) -> None:
        if self.time_limit is None:
            return
        for child in self._running.values():
            if child.seconds() > self.time_limit + GRACE and not child.overdue:
                child.overdue = True
                ray.kill(child.worker)

    def close(self) -> None:
        """Drop the running children and stop Ray if this executor started it."""
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
        held: List with a reference to the evaluator; a list keeps Ray from resolving it.
    """

    def __init__(self, held: list[Any]) -> None:
        self.held = held
        self.evaluate: Evaluator | None = None

    def train(self, architecture: Architecture, seed: int) -> Iterator[Outcome | None]:
        """Yield None at the start, then the outcome."""
        if self.evaluate is None:
            self.evaluate, operations = ray.get(self.held[0])
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
    """Return HOST:PORT of the head after checking that it answers: Ray would try for minutes."""
    found = address
    if address == "auto":
        file = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray/ray_current_cluster"
        found = os.environ.get("RAY_ADDRESS") or (file.read_text() if file.exists() else "")
        if not found:
            raise InputError(
                "executor.address=auto: no cluster runs on this machine: ray start --head, or "
                "executor.address=HOST:PORT"
            )
    host, _, port = found.strip().rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise InputError(f"executor.address={address}: legal: local, auto, HOST:PORT; got {found}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE).close()
    except OSError as error:
        raise InputError(
            f"executor.address={address}: no cluster answers at {found}: {error.strerror or error}"
        ) from error
    try:
        join = [sys.executable, "-c", "import ray, sys; ray.init(sys.argv[1])", found.strip()]
        subprocess.run(join, timeout=JOIN, capture_output=True, check=True)
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", None) or b"").decode()
        advice = (
            ": the cluster asks for a token: export RAY_AUTH_MODE=token"
            if "AuthToken" in said
            else ""
        )
        raise InputError(
            f"executor.address={address}: no Ray cluster that can be joined at {found}{advice}"
        ) from error
    return found.strip()


def _count_slots(resources: dict[str, float], cpus: float, gpus: float) -> int:
    """Return how many children the resources allow."""
    have = resources.get("CPU", 0), resources.get("GPU", 0)
    slots = min(int(have[0] / cpus), int(have[1] / gpus) if gpus else sys.maxsize)
    if not slots:
        raise InputError(
            f"not enough resources for a child with {cpus:g} CPUs and {gpus:g} GPUs "
            f"(executor.cpus, executor.gpus): Ray has {have[0]:g} and {have[1]:g}"
        )
    return slots
