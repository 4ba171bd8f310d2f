"""What a campaign counts, and the record of each breach with the command that reproduces it."""

import json
import shutil
from collections import Counter
from pathlib import Path

from benchmarks.campaign.commands import Command, Ended

COLUMNS = ("cases", "lost trials", "tracebacks", "hangs", "executions", "other breaches")
LOST, TRACEBACK, HANG, EXECUTION, OTHER = COLUMNS[1:]


class Tally:
    """Counts of one part of the campaign.

    Args:
        part: Name of the part.
        folder: Folder of the campaign; breaches are added to ``breaches.jsonl`` in it.
    """

    def __init__(self, part: str, folder: Path) -> None:
        self.part = part
        self.folder = folder
        self.counts: Counter[str] = Counter()

    def make_case(self, name: str, number: int) -> Path:
        """Return the empty folder of a case; an earlier campaign may have left it."""
        case = self.folder / name.replace(" ", "_") / f"{number}"
        shutil.rmtree(case, ignore_errors=True)
        case.mkdir(parents=True)
        return case

    def breach(self, kind: str, case: Path, what: str, command: Command | None, n: int = 1) -> None:
        """Count a breach and keep the folder of its case.

        Args:
            kind: One of ``COLUMNS``.
            case: Folder of the case.
            what: What was wrong, in a line.
            command: Command that broke the contract.
            n: Number to add, such as the number of lost trials.
        """
        self.counts[kind] += n
        line = {"part": self.part, "kind": kind, "case": str(case), "what": what[:2000]}
        line["command"] = str(command) if command else ""
        with (self.folder / "breaches.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"  {kind}: {case.name}: {what[:300]}", flush=True)

    def check(self, case: Path, command: Command, ended: Ended) -> None:
        """Count a traceback or a hang of a command."""
        if ended.hangs:
            self.breach(HANG, case, "stopped after the limit", command)
        elif ended.has_traceback:
            last = ended.errors.strip().splitlines() or [""]
            self.breach(TRACEBACK, case, last[-1], command)

    def end(self, case: Path, breaches_before: int) -> None:
        """Count a case and remove its folder if nothing was wrong."""
        self.counts["cases"] += 1
        if self.breaches == breaches_before:
            shutil.rmtree(case, ignore_errors=True)

    @property
    def breaches(self) -> int:
        """Number of all breaches so far."""
        return sum(self.counts[column] for column in COLUMNS[1:])


def format_table(tallies: list[Tally]) -> str:
    """Return the table of all parts."""
    lines = [f"{'part':<18}" + "".join(f"{column:>16}" for column in COLUMNS)]
    for tally in tallies:
        cells = "".join(f"{tally.counts[column]:>16,}" for column in COLUMNS)
        lines.append(f"{tally.part:<18}{cells}")
    return "\n".join(lines)
