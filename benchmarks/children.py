"""Children per hour, one after another in this process and side by side on Ray's workers.

python -m benchmarks.children experiment=nasnet_digits evaluation.epochs=20

Whole searches of the same architectures: the controller proposes and learns, at a rate of 0. The
clock runs from the end of an early child to that of a late one, between which nothing starts up and
no worker has run out of work. What is not the children's time is the search's own work, which with
one worker nothing hides.
"""

import argparse
import tempfile
import time

from hydra.utils import instantiate
from tqdm import tqdm

from benchmarks.experiment import experiment
from benchmarks.machine import fit, quiet
from lightning_nas.run.session import build_data
from lightning_nas.search.trial_search import TrialSearch
from lightning_nas.storage.trial import Trial


def measured(settings: list[str], early: int, late: int) -> tuple[float, float]:
    """Run a search; return its children per hour and the share of the time that they took."""
    ends: list[float] = []
    seconds: list[float] = []
    bar = tqdm(total=late, desc=settings[-1])

    def watch(trial: Trial) -> None:
        ends.append(time.perf_counter())
        seconds.append(trial.outcome.seconds)
        bar.update()

    with tempfile.TemporaryDirectory() as folder:
        cfg = experiment(settings, folder)
        method: TrialSearch = instantiate(cfg.method, data=build_data(cfg))
        method.watch = watch
        fit(method, folder)
    bar.close()
    wall = ends[late - 1] - ends[early - 1]
    return 3600 * (late - early) / wall, sum(seconds[early:late]) / wall


def main() -> None:
    """Measure both executors and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--children", type=int, default=16, help="that are timed (default: 16)")
    parser.add_argument("--workers", type=int, default=2, help="of Ray (default: 2)")
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
    serial, share = measured([*common, "executor=serial"], early, late)
    ray, _ = measured([*common, f"executor.slots={options.workers}", "executor=ray"], early, late)
    print(f"serial {serial:,.0f} children an hour, the search's own work {1 - share:.2%}")
    print(f"Ray, {options.workers} workers {ray:,.0f} children an hour, ratio {ray / serial:.2f}")


if __name__ == "__main__":
    main()
