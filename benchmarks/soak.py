"""Memory and time per trial of long searches: 20,000 trials from a table, and ENAS for hours.

Each search is the real command in a process of its own, sampled from outside: its resident memory
once a second, its processor time, and the times that its journal records. Growth is the slope of a
straight line through the memory after the first ten minutes (of a shorter run: after its first
third), in percent an hour. Wall times depend on the other work of the machine; processor times
hardly do. Goals: growth under 1 % an hour, and a time per trial that does not grow.

    python -m benchmarks.soak                  # all searches, ENAS for 120 minutes
    python -m benchmarks.soak random_search nasnet --trials 5000
    python -m benchmarks.soak enas --minutes 120
"""

import argparse
import csv
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lightning_nas.storage.run_folder import RunFolder

ROOT = Path(__file__).parents[1]
TABLE = ("experiment=nas_bench_201", "method.finalists=0")
SEARCHES = {
    "random_search": (*TABLE, "method=random_search"),
    "nasnet": TABLE,  # with redraws
    "evolution": (*TABLE, "method=evolution"),
    "enas": ("experiment=enas_micro_digits", "trainer.max_epochs=1000000"),
}
WARM_UP = 600.0  # seconds until the memory counts
MEBIBYTE = 2**20


class Sample(NamedTuple):
    """State of a search at one moment.

    Args:
        seconds: Wall time since the start.
        cpu: Processor time in seconds.
        memory: Resident memory in bytes.
        trials: Number of ended trials in the journal.
    """

    seconds: float
    cpu: float
    memory: int
    trials: int


def main() -> None:
    """Run the searches one after another and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("searches", nargs="*", help=f"{', '.join(SEARCHES)} (default: all)")
    parser.add_argument("--trials", type=int, default=20_000, help="of a table (default: 20000)")
    parser.add_argument("--minutes", type=float, default=120, help="of ENAS (default: 120)")
    parser.add_argument("--out", type=Path, help="folder (default: a temporary folder)")
    options = parser.parse_args()
    out = (options.out or Path(tempfile.mkdtemp(prefix="soak-"))).resolve()
    out.mkdir(parents=True, exist_ok=True)
    for name in options.searches or SEARCHES:
        settings = SEARCHES[name]
        if name != "enas":
            settings = (*settings, f"method.samples={options.trials}")
        seconds = 60 * options.minutes if name == "enas" else float("inf")
        samples = run_search(settings, out / name, seconds)
        write_samples(samples, out / f"{name}.csv")
        print(f"{name}\n{format_samples(samples, options.trials)}\n", flush=True)


def run_search(settings: Sequence[str], folder: Path, seconds: float) -> list[Sample]:
    """Run a search, stop it after some seconds, and return a sample for each second."""
    words = [*settings, "logger=csv", "callbacks.progress=null", "threads=1"]
    command = [sys.executable, "search.py", *words, f"hydra.run.dir={folder}"]
    log = folder.with_suffix(".log")
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
    start = time.monotonic()
    samples = []
    while process.poll() is None:
        passed = time.monotonic() - start
        sample = _take_sample(process.pid, folder, passed)
        if sample is not None:
            samples.append(sample)
        if passed > seconds:
            process.send_signal(signal.SIGINT)
            process.wait()
        time.sleep(1)
    if process.returncode not in (0, 128 + signal.SIGINT):
        raise SystemExit(f"status {process.returncode}; see {log}")
    return samples


def _take_sample(pid: int, folder: Path, passed: float) -> Sample | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Sample(passed, cpu, int(fields[21]) * os.sysconf("SC_PAGESIZE"), count_trials(folder))


def count_trials(folder: Path) -> int:
    """Return the number of ended trials in the journal of a running search."""
    path = RunFolder(folder).journal
    if not path.exists():
        return 0
    database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT coalesce(max(ended), 0) FROM trials").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are not there yet
        return 0
    finally:
        database.close()


def write_samples(samples: Sequence[Sample], path: Path) -> None:
    """Write the samples as CSV."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([Sample._fields, *samples])


def format_samples(samples: Sequence[Sample], trials: int) -> str:
    """Return a table of the time per trial, and the growth of the memory."""
    step = max(1, trials // 20)
    lines = [f"{'trials':>8}{'ms of CPU':>12}{'ms':>8}{'MiB':>8}"]
    last = next(sample for sample in samples if sample.trials or sample is samples[-1])
    for sample in samples:
        count = sample.trials - last.trials
        if sample.trials // step > last.trials // step:
            cpu, wall = sample.cpu - last.cpu, sample.seconds - last.seconds
            times = f"{1e3 * cpu / count:>12.2f}{1e3 * wall / count:>8.2f}"
            lines.append(f"{sample.trials:>8,}{times}{sample.memory / MEBIBYTE:>8.0f}")
            last = sample
    return "\n".join([*lines, _describe_growth(samples)])


def _describe_growth(samples: Sequence[Sample]) -> str:
    first = min(WARM_UP, samples[-1].seconds / 3)
    ending = samples[-1].trials  # after the last trial come the results, and the memory is freed
    late = [sample for sample in samples if sample.seconds >= first and sample.trials < ending]
    if len(late) < 3:
        return "too short to measure the growth"
    memory = [sample.memory for sample in late]
    slope, _ = statistics.linear_regression([sample.seconds for sample in late], memory)
    percent = 100 * 3600 * slope / memory[0]
    trials = late[-1].trials - late[0].trials
    by_trial = f", {(memory[-1] - memory[0]) / trials:,.0f} bytes a trial" if trials else ""
    return f"growth after {first:.0f} s: {percent:+.2f} % an hour{by_trial}"


if __name__ == "__main__":
    main()
