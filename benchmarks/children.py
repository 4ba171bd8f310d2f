"""Children per hour: one after another in this process, and several at once on Ray's workers.

Both searches evaluate the same architectures: the controller learns with a learning rate of 0. The
clock runs from the end of an early child to the end of a late one. In between no worker starts and
no worker is idle for lack of children. The rest of the serial time is the work of the search
itself.

    python -m benchmarks.children experiment=nasnet_digits evaluation.epochs=20
"""

import argparse
import tempfile
import time

from tqdm import tqdm

from benchmarks.experiment import experiment
from benchmarks.machine import fit, quiet
from lightning_nas.run.build import build_search
from lightning_nas.run.parts import build_data
from lightning_nas.storage.trial import Trial


def run_search(settings: list[str], early: int, late: int) -> tuple[float, float]:
    """Run a search; return its children per hour and their share of the time."""
    ends: list[float] = []
    seconds: list[float] = []
    bar = tqdm(total=late, desc=settings[-1])

    def watch(trial: Trial) -> None:
        ends.append(time.perf_counter())
        seconds.append(trial.outcome.seconds)
        bar.update()

    with tempfile.TemporaryDirectory() as folder:
        cfg = experiment(settings, folder)
        method = build_search(cfg.method, build_data(cfg))
        method.watch = watch
        fit(method, folder)
    bar.close()
    wall = ends[late - 1] - ends[early - 1]
    return 3600 * (late - early) / wall, sum(seconds[early:late]) / wall


def main() -> None:
    """Measure both executors and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--children", type=int, default=16, help="children to time (default: 16)")
    parser.add_argument("--workers", type=int, default=2, help="workers of Ray (default: 2)")
    parser.add_argument("settings", nargs="+", help="experiment=NAME and settings of search.py")
    options = parser.parse_args()
    quiet()
    early, late = 2 * options.workers, 2 * options.workers + options.children
    common = [
        *options.settings,
        f"method.samples={late + options.workers}",
        "method.repeat=true",
        "method.controller.optimizer.lr=0.0",
        "threads=1",
    ]
    serial, share = run_search([*common, "executor=serial"], early, late)
    ray, _ = run_search([*common, f"executor.slots={options.workers}", "executor=ray"], early, late)
    print(f"serial {serial:,.0f} children an hour, work of the search itself {1 - share:.2%}")
    print(f"Ray, {options.workers} workers {ray:,.0f} children an hour, ratio {ray / serial:.2f}")


if __name__ == "__main__":
    main()
