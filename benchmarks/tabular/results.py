"""Files of the searches, so that none is run twice, and their statistics.

``searches/DATASET-METHOD.jsonl`` holds the settings and then one line per seed, ``summary.csv`` the
means, ``curves.csv`` the means that are drawn.
"""

import csv
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tabular.jobs import Found
from lightning_nas.errors import InputError
from lightning_nas.files import replace_text

COLUMNS = ("method", "dataset", "queries", "mean", "standard_error", "seeds")


class Kept:
    """The stored searches of one method on one data set.

    Args:
        path: File. It is created if it is missing.
        about: Settings and queries that all searches share.

    Raises:
        InputError: If the file holds searches with other settings.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self.searches: dict[int, dict[str, Any]] = {}
        about = json.loads(json.dumps(about))
        text = path.read_text() if path.exists() else ""
        lines = [json.loads(line) for line in text.splitlines(True) if line.endswith("\n")]
        if lines and lines[0] != about:
            raise InputError(
                f"{path} holds searches with other settings: choose another folder with -o"
            )
        self.searches = {line["seed"]: line for line in lines[1:]}
        whole = "".join(json.dumps(line) + "\n" for line in [about, *self.searches.values()])
        if text != whole:  # the file is new, or its last line is incomplete
            replace_text(path, whole)

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """Return the seeds that have not been run."""
        return [seed for seed in seeds if seed not in self.searches]

    def add(self, seeds: Sequence[int], found: Sequence[Found]) -> None:
        """Write the results of several seeds."""
        lines = [
            {
                "seed": seed,
                "architectures": ["".join(map(str, tokens)) for tokens in search.tokens_Q],
                "rewards": search.reward_Q,
                "means": [round(mean, 6) for mean in search.mean_Q],
            }
            for seed, search in zip(seeds, found, strict=True)
        ]
        with self.path.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        self.searches |= {line["seed"]: line for line in lines}

    def curves(self, seeds: Sequence[int]) -> list[list[float]]:
        """Return the curves of seeds that have been run."""
        return [self.searches[seed]["means"] for seed in seeds]

    def distinct(self, seeds: Sequence[int], queries: int) -> float:
        """Return the mean number of distinct architectures among the first queries."""
        asked = [self.searches[seed]["architectures"][:queries] for seed in seeds]
        return statistics.fmean(len(set(architectures)) for architectures in asked)


@dataclass(frozen=True)
class Point:
    """Accuracy of a method after a number of queries: mean over seeds, in [0, 1]."""

    method: str
    dataset: str
    queries: int
    mean: float
    error: float
    seeds: int

    def over(self, other: "Point") -> float:
        """Return the difference from another point, in standard errors of the difference."""
        error = math.hypot(self.error, other.error)
        return (self.mean - other.mean) / error if error else 0.0


def points(method: str, dataset: str, curves: Sequence[Sequence[float]]) -> list[Point]:
    """Return one point per query, from the curves of at least two seeds."""
    return [
        Point(
            method,
            dataset,
            query,
            statistics.fmean(found),
            statistics.stdev(found) / len(found) ** 0.5,
            len(found),
        )
        for query, found in enumerate(zip(*curves, strict=True), start=1)
    ]


def write_summary(path: Path, rows: Sequence[Point]) -> None:
    """Write points as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            figures = (f"{row.mean:.6f}", f"{row.error:.6f}", row.seeds)
            writer.writerow([row.method, row.dataset, row.queries, *figures])


def read_points(path: Path) -> list[Point]:
    """Return the points that ``write_summary`` wrote."""
    with path.open(newline="") as file:
        return [
            Point(row["method"], row["dataset"], int(row["queries"]), float(row["mean"]),
                  float(row["standard_error"]), int(row["seeds"]))
            for row in csv.DictReader(file)
        ]  # fmt: skip
