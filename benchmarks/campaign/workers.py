"""Dead workers: processes of a data loader, and workers of Ray."""

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.campaign.commands import Command
from benchmarks.campaign.interruptions import TRAINING_LIMIT
from benchmarks.campaign.runs import QUIET, has_results, read_trials
from benchmarks.campaign.tally import LOST, OTHER, Tally

RAY_SHARE = 0.4
SIDE = 72  # pixels: smaller images are decoded without workers
RAY = (
    "search.py",
    "experiment=nasnet_digits",
    "debug=smoke",
    "method.samples=6",
    "evaluation.epochs=5",
    "executor=ray",
    "executor.slots=2",
)
TRAINING = (
    "train.py",
    "data=image_folder",
    "data.num_workers=2",
    "trainer.max_epochs=3",
    "network.filters=4",
    "network.cells=1",
    "data.batch_size=4",
)


def run(count: int, tally: Tally, folder: Path, rng: random.Random) -> None:
    """Kill workers of runs, then resume the runs that stopped."""
    images = make_images(folder / "images")
    for number in range(count):
        is_ray = rng.random() < RAY_SHARE
        words = RAY if is_ray else (*TRAINING, f"data.root={images}")
        case = tally.make_case("workers", number)
        before = tally.breaches
        run = case / "run"
        command = Command([*words, *QUIET, f"hydra.run.dir={run}"], case)
        _kill_a_worker(command, is_ray, rng)
        ended = command.wait(TRAINING_LIMIT)
        tally.check(case, command, ended)
        if is_ray and ended.code != 0:
            tally.breach(OTHER, case, f"status {ended.code}: {ended.errors[-500:]}", command)
        acknowledged = read_trials(run)
        if ended.code != 0:
            can_resume = has_results(run, acknowledged)
            repeated = [words[0], f"resume={run}"] if can_resume else command.words
            again = Command(repeated, case / "again")
            ended = again.wait(TRAINING_LIMIT)
            tally.check(case, again, ended)
            if ended.code != 0:
                tally.breach(OTHER, case, f"again: {ended.errors[-500:]}", again)
        lost = [n for n, trial in acknowledged.items() if read_trials(run).get(n) != trial]
        if lost:
            tally.breach(LOST, case, f"trials {lost}", command, len(lost))
        tally.end(case, before)


def make_images(folder: Path, images: int = 40, side: int = SIDE) -> Path:
    """Write a folder of images in two classes and return the folder."""
    pixels = np.random.default_rng(0).integers(0, 256, (images, side, side, 3), dtype=np.uint8)
    for number, one in enumerate(pixels):
        path = folder / "train" / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(one).save(path)
    return folder


def _kill_a_worker(command: Command, is_ray: bool, rng: random.Random) -> None:
    while command.is_running():
        workers = _list_workers(command.pid, is_ray)
        if workers:
            time.sleep(rng.uniform(0, 2.0 if is_ray else 0.2))
            for pid in rng.sample(workers, 1):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            return
        time.sleep(0.01)


def _list_workers(pid: int, is_ray: bool) -> list[int]:
    """Return the processes of a data loader, or those of Ray that train, below a command."""
    found, waiting = [], [pid]
    while waiting:
        waiting_pid = waiting.pop()
        children = _list_children(waiting_pid)
        waiting += children
        found += children
    return [pid for pid in found if not is_ray or _read_name(pid).startswith(b"ray::Worker")]


def _list_children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _read_name(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
