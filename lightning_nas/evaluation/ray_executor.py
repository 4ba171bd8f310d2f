"""Where architectures are evaluated: on the workers of Ray, on this machine or on a cluster.

A worker is a process that stays: torch is imported and the images are unpacked once, not for every
child. One that dies takes its own child along and nothing else.
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
PROBE = 5.0  # seconds until a cluster that does not answer counts as unreachable,
JOIN = 15.0  # and one that answers, but not as Ray does
LOOK = 0.5  # seconds between looks at the clock and at signals
GRACE = 60.0  # seconds over its time limit until a child that does not end itself is ended by force


@dataclass
class _Child:
    """One that is in flight."""

    number: int
    architecture: Architecture
    seed: int
    worker: Any
    deaths: int = 0  # of workers that had it
    overdue: bool = False
    began: float | None = None  # where it waits for a worker, its time does not run

    def seconds(self) -> float:
        return 0.0 if self.began is None else time.monotonic() - self.began


class RayExecutor:
    """Evaluates architectures on Ray's workers, as many at once as there is room for.

    A child that runs out of memory, or of retries, has the evaluator's penalty, and so has one that
    is over the evaluator's time limit by a minute: it is to see to its time itself. A Ray that runs
    in this process already is used as it is.

    Args:
        evaluate: From an architecture to its outcome; it is sent to every worker once.
        address: ``local``: workers on this machine, that end with this process. ``auto``: the
            cluster that this machine belongs to. ``HOST:PORT``: a cluster's head; its machines need
            the packages of requirements.txt, this package is sent to them.
        slots: Children at once, at least 1; None = as many as there is room for now.
        cpus: Of a child, above 0.
        gpus: Of a child; a fraction lets several share one. None = 1 where there are any.
        retries: How often a child whose worker died is begun again.

    Raises:
        InputError: If Ray is not installed, the cluster does not answer within five seconds, what
            answers is no Ray that can be joined within fifteen, or it has no room for a child.
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
        self._running: dict[Any, _Child] = {}  # by the stream of what comes back
        self._begun_here = not ray.is_initialized()
        if self._begun_here:
            _begin(address, None if slots is None else slots * cpus)
        try:
            there = ray.cluster_resources()
            gpus = min(1, there.get("GPU", 0)) if gpus is None else gpus
            self.slots = slots or _room(there, cpus, gpus)
        except BaseException:
            self.close()
            raise
        self._evaluate = ray.put((evaluate, ADDED))  # a worker registers the added operations
        # An actor and no task: a process keeps the GPU that it began with, and so does an actor.
        self._new_worker = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Worker).remote

    def submit(self, number: int, architecture: Architecture, seed: int) -> None:
        """Send an architecture to a worker."""
        worker = self._idle.pop() if self._idle else self._new_worker([self._evaluate])
        self._send(_Child(number, architecture, seed, worker))

    def _send(self, child: _Child) -> None:
        train = child.worker.train.options(num_returns="streaming")
        self._running[train.remote(child.architecture, child.seed)] = child

    def wait(self, poll: Poll) -> tuple[int, Outcome]:
        """Return the number and the outcome of the next that ends."""
        while True:
            poll()
            ready: list[Any] = ray.wait(list(self._running), timeout=LOOK)[0]
            for stream in ready:
                child = self._running.pop(stream)
                try:
                    outcome: Outcome | None = ray.get(next(stream))
                except exceptions.RayError as error:
                    outcome = self._failed(child, error)
                else:
                    if outcome is None:
                        child.began = time.monotonic()
                        self._running[stream] = child
                    else:
                        self._idle.append(child.worker)
                if outcome is not None:
                    return child.number, outcome
            self._end_overdue()

    def _failed(self, child: _Child, error: Exception) -> Outcome | None:
        """Begin a child again whose worker died; return its outcome if that is hopeless.

        Raises:
            Exception: What the evaluation raised, which no other worker would do better.
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

    def _end_overdue(self) -> None:
        if self.time_limit is None:
            return
        for child in self._running.values():
            if child.seconds() > self.time_limit + GRACE and not child.overdue:
                child.overdue = True
                ray.kill(child.worker)

    def close(self) -> None:
        """Give up what is in flight, and let Ray go if it was begun here."""
        if self._begun_here:
            ray.shutdown()
        else:
            for worker in [*self._idle, *(child.worker for child in self._running.values())]:
                ray.kill(worker)
        self._idle.clear()
        self._running.clear()


class _Worker:
    """A process that evaluates one architecture after another.

    Args:
        held: A reference to the evaluator.
    """

    def __init__(self, held: list[Any]) -> None:
        self.held = held
        self.evaluate: Evaluator | None = None

    def train(self, architecture: Architecture, seed: int) -> Iterator[Outcome | None]:
        """Say that it begins, then evaluate."""
        if self.evaluate is None:
            self.evaluate, operations = ray.get(self.held[0])
            register_operations(operations)
        yield None
        yield self.evaluate(architecture, seed, lambda: None)


def _begin(address: str, cpus: float | None) -> None:
    """Start Ray here, or join a cluster."""
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        settings |= {
            "num_cpus": None if cpus is None else math.ceil(cpus),
            "include_dashboard": False,
            "runtime_env": {"env_vars": {"PYTHONPATH": paths}},
        }
    else:
        address = _reachable(address)
        settings["runtime_env"] = {"py_modules": [str(Path(__file__).parents[1])]}
    try:
        ray.init(address, **settings)
    except (ConnectionError, RuntimeError, exceptions.RayError) as error:
        raise InputError(f"executor.address={address}: {' '.join(str(error).split())}") from error


def _reachable(address: str) -> str:
    """Return the head's HOST:PORT, which answers: Ray itself would try for minutes."""
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
        raise InputError(f"executor.address={address}: legal: local, auto, HOST:PORT, not {found}")
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
        advice = ": it asks for a token, export RAY_AUTH_MODE=token" if "AuthToken" in said else ""
        raise InputError(
            f"executor.address={address}: no Ray cluster that can be joined at {found}{advice}"
        ) from error
    return found.strip()


def _room(there: dict[str, float], cpus: float, gpus: float) -> int:
    """Return how many children there is room for."""
    have = there.get("CPU", 0), there.get("GPU", 0)
    room = min(int(have[0] / cpus), int(have[1] / gpus) if gpus else sys.maxsize)
    if not room:
        raise InputError(
            f"no room for a child of {cpus:g} CPUs and {gpus:g} GPUs (executor.cpus, "
            f"executor.gpus): Ray has {have[0]:g} and {have[1]:g}"
        )
    return room
