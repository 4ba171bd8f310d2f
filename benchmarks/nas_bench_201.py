"""Accuracy that each method finds in the table of NAS-Bench-201, against the number of queries.

A query looks up one training of an architecture. After each query the search would choose the
architecture with the highest accuracy so far; the benchmark reports the mean accuracy of that
architecture over all its trainings in the table. If a search asks for an architecture again, the
first answer is repeated; it counts as a query. Methods without "_paper" use the settings of
``experiment=nas_bench_201``; those with "_surrogate" also choose among candidates.

The benchmark prints mean and standard error over seeds, and the difference from random search and
from evolution in standard errors of the difference, and draws the curves. Searches that were run
before are read from the output folder.

    python -m benchmarks.nas_bench_201 -o runs/nas_bench_201
"""

import argparse
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.tabular.jobs import Job, chunks, completed, open_table
from benchmarks.tabular.plot import draw, select_points
from benchmarks.tabular.results import Kept, Point, points, write_summary
from benchmarks.tabular.settings import METHODS, composed
from lightning_nas.ctrl_c import end_at_ctrl_c
from lightning_nas.errors import InputError
from lightning_nas.evaluation.tabular import DATASETS

All = dict[tuple[str, str], Kept]  # by data set and method


def run_missing(options: argparse.Namespace, seeds: Sequence[int]) -> All:
    """Return all searches of a comparison; run those that are missing."""
    kept: All = {}
    about: dict[str, Any] = {
        name: {"settings": OmegaConf.to_container(composed(METHODS[name]))}
        for name in options.methods
    }
    for dataset, name in itertools.product(options.datasets, options.methods):
        path = options.output / "searches" / f"{dataset}-{name}.jsonl"
        kept[dataset, name] = Kept(path, {**about[name], "queries": options.queries})
    jobs = [
        Job(name, METHODS[name], dataset, part, options.queries)
        for (dataset, name), searches in kept.items()
        for part in chunks(searches.missing(seeds))
    ]
    if jobs:
        for job, found in completed(jobs, options.processes, "searches"):
            kept[job.dataset, job.name].add(job.seeds, found)
    return kept


def table_of(curves: dict[str, list[Point]], distinct: dict[str, float], queries: int) -> list[str]:
    """Return the lines of a table: the accuracy of each method after ``queries`` queries."""
    lines = [f"{'':<21}{'found':>20}{'over random':>13}{'over evolution':>16}{'distinct':>10}"]
    for name, points_Q in curves.items():
        point = points_Q[queries - 1]
        compared = [
            f"{point.over(curves[other][queries - 1]):+.1f}" if other in curves else ""
            for other in ("random", "evolution")
        ]
        lines.append(
            f"{name:<21}{point.mean:>10.3%} +- {point.error:.3%}{compared[0]:>13}{compared[1]:>16}"
            f"{distinct[name]:>10.0f}"
        )
    return lines


def report(options: argparse.Namespace, seeds: Sequence[int], kept: All) -> None:
    """Print the tables, write the summary and draw the curves."""
    curves = {
        dataset: {
            name: points(name, dataset, kept[dataset, name].curves(seeds))
            for name in options.methods
        }
        for dataset in options.datasets
    }
    best = {dataset: open_table(dataset).best() for dataset in options.datasets}
    parts = sorted({max(1, options.queries // part) for part in (4, 2, 1)})
    rows = []
    for dataset, queries in itertools.product(options.datasets, parts):
        print(f"\n{dataset}, {queries} queries, {len(seeds)} seeds; best {best[dataset]:.3%}")
        distinct = {n: kept[dataset, n].distinct(seeds, queries) for n in options.methods}
        print("\n".join(table_of(curves[dataset], distinct, queries)))
        rows += [found[queries - 1] for found in curves[dataset].values()]
    write_summary(options.output / "summary.csv", rows)
    drawn = {
        dataset: {name: select_points(found) for name, found in methods.items()}
        for dataset, methods in curves.items()
    }
    points_drawn = [p for methods in drawn.values() for found in methods.values() for p in found]
    write_summary(options.output / "curves.csv", points_drawn)
    for suffix in (".svg", ".png"):
        draw(drawn, best, options.output / f"nas_bench_201{suffix}")
    names = ("nas_bench_201.svg", "nas_bench_201.png", "curves.csv", "summary.csv", "searches/")
    print(f"\n{options.output}: {', '.join(names)}")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--seeds", type=int, default=200, help="at least 2 (default: 200)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--queries", type=int, default=200, help="queries of each search (default: 200)"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: all cores")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/nas_bench_201"))
    options = parser.parse_args(arguments)
    if options.seeds < 2 or options.queries < 1 or options.processes < 1 or options.first_seed < 0:
        parser.error("--seeds must be >= 2, --queries and --processes >= 1, --first-seed >= 0")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the searches, print the tables and draw the curves."""
    options = parsed(arguments)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with end_at_ctrl_c():
        try:
            report(options, seeds, run_missing(options, seeds))
        except InputError as error:
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
