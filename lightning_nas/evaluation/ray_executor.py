"""Executor that evaluates architectures on Ray's workers, on this machine or on a cluster.

A worker is a process that evaluates many children, so a worker imports torch and loads the images
only once. If a worker dies, only its child is affected: the child starts again in another worker.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

try:
    import ray
    from ray import exceptions
except ImportError:
    ray = None  # type: ignore[assignment]

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import Cutoffs, Evaluator, Poll, run_evaluator
from lightning_nas.evaluation.ray_cluster import answers, count_slots, list_services, start_ray
from lightning_nas.layers.operations import ADDED, register_operations
from lightning_nas.storage.trial import Outcome

PACKAGE = "ray==2.60.0"
POLL_INTERVAL = 0.5  # seconds between two checks of the time limit and of signals
WATCH_INTERVAL = 2.0  # seconds between two checks whether Ray still runs
GRACE = 60.0  # seconds between the time limit of a child and the kill of its worker


@dataclass
class _Child:
    """A child that is being evaluated."""

    number: int
    architecture: Architecture
    seed: int
    worker: Any
    cutoffs: Cutoffs | None  # None if the evaluator has no rungs
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
            start_ray(address, None if slots is None else slots * cpus)
        try:
            resources = ray.cluster_resources()
            gpus = min(1, resources.get("GPU", 0)) if gpus is None else gpus
            self.slots = slots or count_slots(resources, cpus, gpus)
        except BaseException:
            self.close()
            raise
        self._services = list_services()
        self._next_check = time.monotonic() + WATCH_INTERVAL
        self._evaluate = ray.put((evaluate, ADDED))  # workers register the added operations
        # An actor keeps its process; a task does not. A process cannot change its GPU.
        self._new_worker = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Worker).remote

    def submit(
        self, number: int, architecture: Architecture, seed: int, cutoffs: Cutoffs | None = None
    ) -> None:
        """Send an architecture to a worker."""
        worker = self._idle.pop() if self._idle else self._new_worker([self._evaluate])
        self._send(_Child(number, architecture, seed, worker, cutoffs))

    def _send(self, child: _Child) -> None:
        train = child.worker.train.options(num_returns="streaming")
        stream = train.remote(child.architecture, child.seed, child.cutoffs)
        self._running[stream] = child

    def wait(self, poll: Poll) -> tuple[int, Outcome]:
        """Return the number and the outcome of the next child that ends.

        Raises:
            InputError: If Ray has died. Ray itself would wait for a minute, then end this process.
        """
        while True:
            poll()
            self._check_services()
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
        self._check_services(at_once=True)  # its death also ends the workers
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

    def _check_services(self, at_once: bool = False) -> None:
        """Raise InputError if Ray has died."""
        if time.monotonic() < self._next_check and not at_once:
            return
        self._next_check = time.monotonic() + WATCH_INTERVAL
        for name, address in self._services.items():
            if not answers(address):
                raise InputError(
                    f"{name} of Ray has died ({address[0]}:{address[1]}); all evaluated "
                    "architectures are kept: python search.py resume=RUN"
                )

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

    def train(
        self, architecture: Architecture, seed: int, cutoffs: Cutoffs | None
    ) -> Iterator[Outcome | None]:
        """Yield None when the training starts, then the outcome."""
        if self.evaluate is None:
            self.evaluate, operations = ray.get(self.references[0])
            register_operations(operations)
        yield None
        yield run_evaluator(self.evaluate, architecture, seed, lambda: None, cutoffs)
