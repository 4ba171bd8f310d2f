"""Executor that evaluates architectures on Ray's workers, on this machine or on a cluster.

Only a worker that is ready gets a child, so no child waits for a worker that no node has room for.
If a worker or a node dies, only its children are affected: they start again in other workers.
"""

import logging
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError, list_some
from lightning_nas.evaluation.executors import Cutoffs, Evaluator, Poll
from lightning_nas.evaluation.ray_cluster import Nodes, answers, list_services, start_ray
from lightning_nas.evaluation.ray_worker import SAME_ON_ALL_NODES, Worker
from lightning_nas.layers.operations import ADDED
from lightning_nas.storage.trial import Outcome

try:  # after ray_cluster.py, which sets a variable that Ray reads when it is imported
    import ray
    from ray import exceptions
except ImportError:
    ray = None  # type: ignore[assignment]

PACKAGE = "ray==2.60.0"
POLL_INTERVAL = 0.5  # seconds between two checks of the time limit and of signals
WATCH_INTERVAL = 2.0  # seconds between two checks of Ray and its nodes
GRACE = 60.0  # seconds between the time limit of a child and the kill of its worker
NODE_DEATH = "its node has died"  # Ray's message, if it chose a node that was already dead
RESUME = "all evaluated architectures are kept: python search.py resume=RUN"
log = logging.getLogger(__name__)


class _Start(NamedTuple):
    """A worker that is not ready."""

    actor: Any
    attempt: int  # 1 for the first worker, 2 for one that replaces a worker that died, ...


class _ReadyWorker(NamedTuple):
    """A worker that has loaded the evaluator."""

    actor: Any
    node: str  # Ray's identifier of the node


@dataclass
class _Child:
    """A child that has not ended."""

    number: int
    architecture: Architecture
    seed: int
    cutoffs: Cutoffs | None  # None if the evaluator has no rungs
    deaths: int = 0  # number of workers that died while they trained this child


@dataclass
class _Training:
    """A child on a worker."""

    child: _Child
    worker: _ReadyWorker
    start_time: float
    is_overdue: bool = False

    def seconds(self) -> float:
        return time.monotonic() - self.start_time


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
        slots: Number of children at once, at least 1; None = as many as the resources allow, also
            after a node has joined or died. More children than the resources allow wait.
        cpus: CPU cores per child, above 0.
        gpus: GPUs per child, at least 0; a fraction lets several children share a GPU. None = 1 if
            there are GPUs, else 0.
        retries: Number of restarts of a child whose worker died, at least 0. The restarts after the
            death of a node do not count.

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
        self.retries, self._given_slots = retries, slots
        self.threads = max(1, int(cpus))  # of torch in a worker, to estimate the cost
        self.penalty = getattr(evaluate, "penalty", 0.0)
        self.time_limit: float | None = getattr(evaluate, "time_limit", None)
        self._queue: deque[_Child] = deque()  # children that wait for a worker
        self._starting: dict[Any, _Start] = {}  # by the reference to the node
        self._failed_starts: list[int] = []  # attempts of workers that died before they were ready
        self._idle: list[_ReadyWorker] = []
        self._running: dict[Any, _Training] = {}  # by the reference to the outcome
        is_here = address in ("local", "auto")  # otherwise a resume has to name the cluster again
        self._resume = RESUME if is_here else f"{RESUME} executor.address={address}"
        self._owns_ray = not ray.is_initialized()
        if self._owns_ray:
            start_ray(address, None if slots is None else slots * cpus)
        try:
            self._nodes = Nodes(cpus, gpus)
            if slots is None:
                self._nodes.check_room()
        except BaseException:
            self.close()
            raise
        self._services = list_services()
        self._next_check = time.monotonic() + WATCH_INTERVAL
        self._evaluate = ray.put((evaluate, ADDED))  # workers register the added operations
        # An actor keeps its process; a task does not. A process cannot change its GPU.
        self._worker: Any = ray.remote(num_cpus=cpus, num_gpus=self._nodes.gpus)(Worker)

    @property
    def slots(self) -> int:
        """Maximum number of submitted architectures that have not ended, at least 1."""
        return self._given_slots or max(1, self._nodes.room)

    def submit(
        self, number: int, architecture: Architecture, seed: int, cutoffs: Cutoffs | None = None
    ) -> None:
        """Send an architecture to a worker, or queue it until a worker is ready."""
        self._queue.append(_Child(number, architecture, seed, cutoffs))
        self._assign()

    def _assign(self) -> None:
        """Send waiting children to idle workers. Start a worker for each child that still waits."""
        while self._queue and self._idle:
            child, worker = self._queue.popleft(), self._idle.pop()
            outcome = worker.actor.train.remote(child.architecture, child.seed, child.cutoffs)
            self._running[outcome] = _Training(child, worker, time.monotonic())
        for _ in range(len(self._queue) - len(self._starting)):
            actor = self._worker.remote([self._evaluate], os.getcwd())
            attempt = self._failed_starts.pop() + 1 if self._failed_starts else 1
            self._starting[actor.load.remote()] = _Start(actor, attempt)

    def wait(self, poll: Poll) -> tuple[int, Outcome]:
        """Return the number and the outcome of the next child that ends.

        Raises:
            InputError: If Ray or all nodes have died, or if no worker can start. Ray itself would
                wait for a minute, then end this process, or wait for ever.
        """
        while True:
            poll()
            self._check_cluster()
            references = [*self._running, *self._starting]
            ended = None
            for reference in ray.wait(references, timeout=POLL_INTERVAL)[0]:
                if reference in self._starting:
                    self._end_start(reference)
                else:
                    ended = self._end_training(reference)
            self._assign()
            if ended is not None:
                return ended
            self._kill_overdue()

    def _end_start(self, reference: Any) -> None:
        """Add a worker to the idle ones. If it has died, ``_assign`` starts another one.

        Raises:
            InputError: If a worker cannot load the evaluator, or no retry is left.
        """
        start = self._starting.pop(reference)
        try:
            self._idle.append(_ReadyWorker(start.actor, ray.get(reference)))
        except exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, InputError) else error) from None
        except exceptions.RayError as error:
            self._check_cluster(at_once=True)
            if NODE_DEATH in str(error):
                return
            reason = str(error).splitlines()[-1].strip()
            why = f"a worker of Ray has died while it started: {reason}"
            if start.attempt > self.retries:
                raise InputError(f"{why}; {SAME_ON_ALL_NODES}; {self._resume}") from None
            log.warning(why)
            self._failed_starts.append(start.attempt)
        else:
            self._failed_starts.clear()

    def _end_training(self, reference: Any) -> tuple[int, Outcome] | None:
        """Return number and outcome of a child, or None if the child has to start again."""
        training = self._running[reference]
        try:
            outcome: Outcome | None = ray.get(reference)
            self._idle.append(training.worker)
        except exceptions.RayError as error:
            outcome = self._handle_failure(training, error)
        del self._running[reference]
        return None if outcome is None else (training.child.number, outcome)

    def _handle_failure(self, training: _Training, error: Exception) -> Outcome | None:
        """Queue a child whose worker died, or return the outcome of a child that failed.

        Raises:
            Exception: The exception of the evaluator. A restart would raise the same exception.
        """
        if isinstance(error, exceptions.RayTaskError):
            if not isinstance(error.cause, InputError):
                raise error
            if training.worker.node == ray.get_runtime_context().get_node_id():
                raise error.cause from None
            host, _ = self._nodes.addresses.get(training.worker.node, (training.worker.node, 0))
            raise InputError(f"on node {host}: {error.cause}") from None
        # the death of Ray or of a node also ends the workers
        self._check_cluster(at_once=True, suspect=training.worker.node)
        child = training.child
        if training.is_overdue:
            why = f"longer than {self.time_limit:g} s"
        elif isinstance(error, exceptions.OutOfMemoryError):
            why = "out of memory"
        elif not isinstance(error, exceptions.RayActorError):
            raise error
        else:
            child.deaths += training.worker.node in self._nodes.addresses  # not if the node died
            if child.deaths <= self.retries:
                self._queue.appendleft(child)
                return None
            why = f"workers that died during this child: {child.deaths}"
        return Outcome(self.penalty, seconds=round(training.seconds(), 3), error=why)

    def _check_cluster(self, at_once: bool = False, suspect: str | None = None) -> None:
        """Raise InputError if Ray or all nodes have died. Warn of each node that has died.

        Args:
            at_once: Whether to check also if the last check was a moment ago.
            suspect: Node of a worker that has died.
        """
        if time.monotonic() < self._next_check and not at_once:
            return
        self._next_check = time.monotonic() + WATCH_INTERVAL
        for name, (host, port) in self._services.items():
            if not answers((host, port)):
                raise InputError(f"{name} of Ray has died ({host}:{port}); {self._resume}")
        dead = self._nodes.update(suspect)
        if dead and not self._nodes.room:
            nodes = list_some(list(dead.values()))
            raise InputError(f"all nodes that train children have died: {nodes}; {self._resume}")
        self._idle = [worker for worker in self._idle if worker.node not in dead]
        for node, address in dead.items():
            children = sum(one.worker.node == node for one in self._running.values())
            log.warning(
                "node %s of the cluster has died; children that start again: %d; children that fit "
                "on the other nodes at once: %d",
                *(address, children, self._nodes.room),
            )

    def _kill_overdue(self) -> None:
        if self.time_limit is None:
            return
        for training in self._running.values():
            if training.seconds() > self.time_limit + GRACE and not training.is_overdue:
                training.is_overdue = True
                ray.kill(training.worker.actor)

    def close(self) -> None:
        """Drop the running children. Stop Ray if this executor started Ray."""
        if self._owns_ray:
            ray.shutdown()
        else:
            ready = [*self._idle, *(training.worker for training in self._running.values())]
            starting = [start.actor for start in self._starting.values()]
            for actor in [*starting, *(worker.actor for worker in ready)]:
                ray.kill(actor)
        self._queue.clear()
        self._starting.clear()
        self._idle.clear()
        self._running.clear()
