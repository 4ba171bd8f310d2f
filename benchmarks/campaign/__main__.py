"""Kills, signals, dead workers, full disks and malformed inputs against the real commands.

Goal: no lost trial, no traceback, no hang, no execution of code. Each breach is printed, kept in
its folder under ``--out``, and listed in ``breaches.jsonl`` with the command that repeats it.

    python -m benchmarks.campaign
    python -m benchmarks.campaign --kills 5 --signals 3 --workers 0 --malformed 30
"""

import argparse
import os
import random
import tempfile
from pathlib import Path

from benchmarks.campaign.commands import import_libraries
from benchmarks.campaign.runs import choose_kinds
from benchmarks.campaign.tally import Tally, format_table


def main() -> None:
    """Run the parts and print their table."""
    options = _parse()
    os.environ.update(OMP_NUM_THREADS="1", WANDB_MODE="offline", PYTHONWARNINGS="ignore")
    import_libraries()
    from benchmarks.campaign import disk, interruptions, malformed, workers

    out = (options.out or Path(tempfile.mkdtemp(prefix="campaign-"))).resolve()
    out.mkdir(parents=True, exist_ok=True)
    print(f"folder: {out}", flush=True)
    kinds = choose_kinds(options.kind)
    tallies = []

    def begin(part: str) -> tuple[Tally, random.Random]:
        tallies.append(Tally(part, out))
        print(part, flush=True)
        return tallies[-1], random.Random(f"{options.seed} {part}")

    if options.kills or options.signals:
        tally, rng = begin("kills")
        runs = interruptions.Interruptions(kinds, out, rng)
        runs.run_kills(options.kills, tally)
        tally, runs.rng = begin("signals")
        runs.run_storms(options.signals, tally)
    if options.workers:
        tally, rng = begin("workers")
        workers.run(options.workers, tally, out, rng)
    if options.disk_full:
        tally, rng = begin("disk full")
        disk.run(options.disk_full, tally, out, rng, kinds)
    if options.malformed:
        tally, rng = begin("malformed")
        malformed.run(options.malformed, tally, out, rng, options.target)
    print(format_table(tallies))
    raise SystemExit(any(tally.breaches for tally in tallies))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, count in (("kills", 100), ("signals", 50), ("workers", 25), ("malformed", 1000)):
        parser.add_argument(f"--{name}", type=int, default=count, help=f"cases (default: {count})")
    parser.add_argument(
        "--disk-full", type=int, nargs="?", const=10, default=0, help="cases (default: 0 or 10)"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--kind", action="append", default=[], help="only this kind of run")
    parser.add_argument("--target", action="append", default=[], help="only this kind of input")
    parser.add_argument("--out", type=Path, help="folder (default: a temporary folder)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
