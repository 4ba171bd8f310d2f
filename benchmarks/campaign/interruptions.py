"""Kills and signals: each interrupted run is resumed and compared with an unbroken one."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

from benchmarks.campaign.commands import Command
from benchmarks.campaign.moments import Moments
from benchmarks.campaign.runs import Kind, has_results, list_differences, read_trials, run_unbroken
from benchmarks.campaign.tally import LOST, OTHER, Tally

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TRAINING_LIMIT = 600.0  # processor seconds of a run
STOPPED = {128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM}


class Interruptions:
    """Interrupted runs of all kinds.

    Args:
        kinds: Kinds of runs.
        folder: Folder of the campaign.
        rng: Random numbers of this part.
    """

    def __init__(self, kinds: tuple[Kind, ...], folder: Path, rng: random.Random) -> None:
        self.kinds = kinds
        self.folder = folder
        self.rng = rng
        self.durations: dict[str, tuple[float, int]] = {}

    def measure(self, kind: Kind) -> tuple[float, int]:
        """Return the seconds and the number of write moments of an unbroken run."""
        if kind.name not in self.durations:
            run_unbroken(kind, self.folder / "unbroken" / kind.name)
            case = self.folder / "measured" / kind.name
            shutil.rmtree(case, ignore_errors=True)
            start = time.monotonic()
            command = Command(kind.begin(case / "run"), case, Moments(0, case / "moments"))
            command.wait(TRAINING_LIMIT)
            seconds = time.monotonic() - start
            self.durations[kind.name] = seconds, int((case / "moments").read_text())
        return self.durations[kind.name]

    def run_kills(self, count: int, tally: Tally) -> None:
        """Kill runs at random and at write moments, some of them twice."""
        for number in range(count):
            kind = self._choose_kind()
            case = tally.make_case("kills", number)
            seconds, moments = self.measure(kind)
            commands = [kind.begin(case / "run"), kind.resume(case / "run")]
            for words in commands[: self.rng.choice((1, 2))]:
                if self.rng.random() < 0.6:
                    moment = self.rng.randint(1, moments)
                    Command(words, case, Moments(moment)).wait(TRAINING_LIMIT)
                else:
                    whole = self.rng.random() < 0.15
                    self._kill_later(Command(words, case, whole=whole), seconds)
            self.finish(kind, case, tally)

    def _kill_later(self, command: Command, seconds: float) -> None:
        deadline = time.monotonic() + self.rng.uniform(0, seconds)
        while command.is_running() and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(command.pid, signal.SIGKILL)
        command.wait(TRAINING_LIMIT)

    def run_storms(self, count: int, tally: Tally) -> None:
        """Send several signals within milliseconds, to the process or to its whole group."""
        for number in range(count):
            kind = self._choose_kind()
            case = tally.make_case("storms", number)
            before = tally.breaches
            seconds, _ = self.measure(kind)
            command = Command(kind.begin(case / "run"), case, whole=self.rng.random() < 0.1)
            deadline = time.monotonic() + self.rng.uniform(0, seconds)
            while command.is_running() and time.monotonic() < deadline:
                time.sleep(0.002)
            send = self.rng.choice((os.kill, os.killpg))
            for _ in range(self.rng.randint(1, 5)):
                if command.is_running():
                    send(command.pid, self.rng.choice(SIGNALS))
                time.sleep(self.rng.uniform(0, 0.02))
            ended = command.wait(TRAINING_LIMIT)
            tally.check(case, command, ended)
            # a new Python that is interrupted before it runs any code ends with 1, often silently
            is_python = ended.code == 1 and not ended.errors and not (case / "run").exists()
            if ended.code not in {0, *STOPPED} and not (ended.has_traceback or is_python):
                tally.breach(OTHER, case, f"status {ended.code}: {ended.errors[-300:]}", command)
            self.finish(kind, case, tally, before)

    def _choose_kind(self) -> Kind:
        return self.rng.choices(self.kinds, [kind.weight for kind in self.kinds])[0]

    def finish(self, kind: Kind, case: Path, tally: Tally, before: int | None = None) -> None:
        """Resume an interrupted run to its end and compare it with the unbroken one."""
        before = tally.breaches if before is None else before
        run = case / "run"
        acknowledged = read_trials(run)
        command = Command(kind.resume(run), case / "resume")
        ended = command.wait(TRAINING_LIMIT)
        tally.check(case, command, ended)
        if ended.code == 2 and not has_results(
            run, acknowledged
        ):  # killed before there was anything to resume
            command = Command(kind.begin(run), case / "again")
            ended = command.wait(TRAINING_LIMIT)
            tally.check(case, command, ended)
        if ended.code != 0:
            tally.breach(OTHER, case, f"status {ended.code}: {ended.errors[-500:]}", command)
        else:
            expected = run_unbroken(kind, self.folder / "unbroken" / kind.name)
            kept = read_trials(run)
            lost = [n for n, trial in acknowledged.items() if kept.get(n) != trial]
            if lost:
                tally.breach(LOST, case, f"trials {lost}", command, len(lost))
            for difference in list_differences(expected, run):
                tally.breach(OTHER, case, difference, command)
        tally.end(case, before)
