"""Full disks: a small file system, or a limit on the size of files where mounting is forbidden."""

import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.campaign.commands import Command
from benchmarks.campaign.interruptions import TRAINING_LIMIT, Interruptions
from benchmarks.campaign.runs import Kind
from benchmarks.campaign.tally import OTHER, Tally

SIZE = 64 * 2**20  # bytes of the small file system


def run(
    count: int, tally: Tally, folder: Path, rng: random.Random, kinds: tuple[Kind, ...]
) -> None:
    """Fill the disk during runs, make room again, resume, and compare with unbroken runs."""
    runs = Interruptions(kinds, folder, rng)
    for number in range(count):
        kind = rng.choices(kinds, [kind.weight for kind in kinds])[0]
        case = tally.make_case("disk", number)
        before = tally.breaches
        runs.measure(kind)
        needed = _count_bytes(folder / "unbroken" / kind.name / "run")
        with _limit_disk(case, rng.randint(4096, needed)) as (prepare, make_room):
            command = Command(kind.begin(case / "run"), case / "streams", prepare)
            ended = command.wait(TRAINING_LIMIT)
            tally.check(case, command, ended)
            if ended.code != 0 and not (ended.has_traceback or ended.is_clean_refusal):
                what = f"status {ended.code}, not one line: {ended.errors[-500:]}"
                tally.breach(OTHER, case, what, command)
            make_room()
            runs.finish(kind, case, tally, before)
            if tally.breaches > before:  # keep the files after the small file system is gone
                shutil.copytree(case / "run", case / "kept", dirs_exist_ok=True)
        if tally.breaches == before:
            shutil.rmtree(case, ignore_errors=True)


def _count_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def _limit_disk(
    case: Path, free: int
) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """Leave few free bytes for a run; yield what a fork must do first and how to make room."""
    run = case / "run"
    run.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(run)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        run.rmdir()
        limit = (free // 4, resource.RLIM_INFINITY)
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit), lambda: None
        return
    ballast = run / "ballast.log"
    try:
        ballast.write_bytes(bytes(SIZE - free - 4096))
        yield lambda: None, lambda: ballast.unlink(missing_ok=True)
    finally:
        subprocess.run(["umount", "-l", str(run)], check=True)
