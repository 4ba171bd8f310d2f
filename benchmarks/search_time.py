"""Where the processor time of a whole search goes: forward, backward, optimiser, and the rest.

Runs ``search.py`` with its judge in this process, with the arguments of this command. Each phase is
counted without the phases inside it: Lightning calls forward and backward from the step of the
optimiser. Processor times hardly depend on the other work of a machine. Goal: at most 10 % outside
of forward, backward and optimiser.

    python -m benchmarks.search_time
    python -m benchmarks.search_time seed=1 trainer.max_epochs=4 method.supernet.scheduler.T_0=4
"""

import functools
import inspect
import runpy
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.experiment import CONFIGS
from lightning_nas.modules.child import ChildModule
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.modules.supernet import SupernetModule

SETTINGS = (
    *("executor=serial", "logger=none", "callbacks.progress=null"),
    "hydra.run.dir=runs/search_time/${now:%Y-%m-%d_%H-%M-%S}",
)
REST = "rest"
PHASES: dict[str, list[tuple[Any, tuple[str, ...]]]] = {  # functions by phase
    "forward": [
        (SupernetModule, ("loss", "score", "score_together", "rank")),
        (ControllerModule, ("sample", "loss")),
        (ChildModule, ("training_step", "_evaluate")),
    ],
    "backward": [(torch.autograd, ("backward",))],
    "optimiser": [
        (SharedSGD, ("step", "zero_grad")),
        (torch.optim.SGD, ("step", "zero_grad")),
        (torch.optim.Adam, ("step",)),
        (torch.nn.utils, ("clip_grad_norm_",)),
    ],
}


class Clock:
    """Processor time of each phase, without the phases inside it.

    Attributes:
        seconds: Seconds by phase.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._phases = [REST]
        self._last = time.process_time()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside the ``with`` block for a phase."""
        self.note()
        self._phases.append(name)
        try:
            yield
        finally:
            self.note()
            self._phases.pop()

    def note(self) -> None:
        """Count the time since the last note for the current phase."""
        now = time.process_time()
        self.seconds[self._phases[-1]] += now - self._last
        self._last = now

    def wrap(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a function that counts for a phase; of a generator, each item counts."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                result = function(*args, **kwargs)
            return self._count_items(result, name) if inspect.isgenerator(result) else result

        return call

    def _count_items(self, items: Iterator[Any], name: str) -> Iterator[Any]:
        while True:
            with self.phase(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item


def main() -> None:
    """Run a search and print the share of each phase."""
    clock = Clock()
    for phase, owners in PHASES.items():
        for owner, names in owners:
            for name in names:
                setattr(owner, name, clock.wrap(getattr(owner, name), phase))
    script = str(CONFIGS.parent / "search.py")
    sys.argv[:] = [script, *SETTINGS, *sys.argv[1:]]
    runpy.run_path(script, run_name="__main__")
    clock.note()
    total = sum(clock.seconds.values())
    print(f"\nprocessor time of the whole search: {total:.0f} s")
    for name in (*PHASES, REST):
        print(f"{name:<12}{clock.seconds[name]:8.1f} s{clock.seconds[name] / total:8.1%}")


if __name__ == "__main__":
    main()
