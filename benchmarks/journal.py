"""Milliseconds to write a trial to the journal, and seconds to open a journal of 20,000 trials.

The trials have a realistic length: 50 decisions with log-probabilities, the JSON of the
architecture, and 20 accuracies. Half are proposed 20 at a time and half one by one. Every call
waits for the disk, so the disk of ``--folder`` is measured. The file is opened as ``resume=`` opens
it, from the cache of the operating system. Goals: less than 10 ms (median) to write, less than 2 s
to open.

    python -m benchmarks.journal
    python -m benchmarks.journal --folder runs
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.machine import parse
from lightning_nas.architecture import COMBINATIONS, NASNET_OPERATIONS, to_json
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.search.trial_stream import Stream, TrialStream
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import Outcome, Proposal

SPACE = CellSpace(5, NASNET_OPERATIONS, combinations=COMBINATIONS, rules="nasnet")
BATCH, EPOCHS = 20, 20


def proposals(trials: int) -> list[Proposal]:
    """Return uniformly sampled proposals."""
    rollout = UniformController(SPACE).sample(trials)
    rows = zip(rollout.tokens_NT.tolist(), rollout.log_prob_NT.tolist(), strict=True)
    return [Proposal(n, tuple(tokens), tuple(logs)) for n, (tokens, logs) in enumerate(rows)]


def outcome() -> Outcome:
    """Return a typical outcome of a child with 20 epochs."""
    accuracies = tuple(random.random() for _ in range(EPOCHS))
    return Outcome(accuracies[-1], accuracies, 3_300_000, 560_000_000, 0.0123, 1234.5)


def write_search(path: Path, trials: int) -> dict[str, list[float]]:
    """Write a whole search; return the milliseconds of each call by the kind of call."""
    waiting = proposals(trials)
    times: dict[str, list[float]] = {f"propose {BATCH}": [], "propose 1": [], "end": []}
    journal = Journal(path, str(SPACE))

    def timed(name: str, start: float) -> None:
        times[name].append(1e3 * (time.perf_counter() - start))

    with tqdm(total=trials, leave=False) as progress:
        while waiting:
            count = BATCH if len(waiting) > trials // 2 else 1
            batch, waiting = waiting[:count], waiting[count:]
            texts = [to_json(SPACE.decode(proposal.tokens)) for proposal in batch]
            start = time.perf_counter()
            journal.propose(batch, texts)
            timed(f"propose {count}", start)
            for proposal in batch:
                ending = outcome()
                start = time.perf_counter()
                journal.end(proposal.number, ending, ending.reward)
                timed("end", start)
            progress.update(count)
    journal.close()
    return times


def open_search(path: Path, trials: int) -> float:
    """Return the seconds that a resumed search needs to read its trials."""
    start = time.perf_counter()
    journal = Journal(path, str(SPACE))
    TrialStream(
        lambda numbers: [],
        lambda proposal: SPACE.decode(proposal.tokens),
        SerialExecutor(lambda architecture, seed, poll: outcome()),  # type: ignore[arg-type]
        journal,
        Stream(trials, BATCH, consumed=trials // 2),
    )
    seconds = time.perf_counter() - start
    journal.close()
    return seconds


def main() -> None:
    """Write a search, open it, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20_000, help="default: 20000")
    parser.add_argument(
        "--folder", type=Path, help="folder on the disk to measure (default: a temporary folder)"
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="how often to open the journal (default: 5)"
    )
    arguments = parse(parser, device=False)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "trials.sqlite"
        times = write_search(path, arguments.trials)
        print(f"{'':<12}{'median, ms':>12}{'95 %, ms':>12}")
        for name, taken in times.items():
            late = statistics.quantiles(taken, n=20)[-1]
            print(f"{name:<12}{statistics.median(taken):>12.2f}{late:>12.2f}")
        seconds = [open_search(path, arguments.trials) for _ in range(arguments.repeats)]
        size = path.stat().st_size / 2**20
    middle = statistics.median(seconds)
    print(f"opening {arguments.trials:,} trials, {size:.0f} MiB: {middle:.2f} s")


if __name__ == "__main__":
    main()
