"""Searches in several processes. A job is one method on one data set with a few seeds."""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache

import torch
from tqdm import tqdm

from benchmarks.tabular.lockstep import searched
from benchmarks.tabular.record import Tokens, curve
from benchmarks.tabular.settings import composed
from lightning_nas.evaluation.tabular import TabularBenchmark

SEEDS = 20  # seeds of a job; with more, the weights no longer fit into the cache


@dataclass(frozen=True)
class Job:
    """Several searches with the same settings.

    Args:
        name: Name of the method in the results.
        settings: Settings of the method, added to those of the experiment.
        dataset: Data set of the table.
        seeds: Seeds of the searches.
        queries: Queries of each search.
    """

    name: str
    settings: tuple[str, ...]
    dataset: str
    seeds: tuple[int, ...]
    queries: int


@dataclass(frozen=True)
class Found:
    """Queries and answers of one search, and its curve (see ``record.curve``)."""

    tokens_Q: list[Tokens]
    reward_Q: list[float]
    mean_Q: list[float]


open_table = lru_cache(TabularBenchmark)  # once per process


def run(job: Job) -> list[Found]:
    """Run the searches of a job and return their results."""
    torch.set_num_threads(1)
    table = open_table(job.dataset)
    records = searched(composed(job.settings), job.seeds, job.queries, table)
    return [Found(r.tokens_Q, r.reward_Q, curve(r.tokens_Q, r.reward_Q, table)) for r in records]


def chunks(seeds: Sequence[int]) -> list[tuple[int, ...]]:
    """Split seeds into portions of the size of a job."""
    return [tuple(seeds[start : start + SEEDS]) for start in range(0, len(seeds), SEEDS)]


def completed(jobs: Sequence[Job], processes: int, name: str) -> Iterator[tuple[Job, list[Found]]]:
    """Yield jobs and their results as they end, with a progress bar that counts searches."""
    with tqdm(total=sum(len(job.seeds) for job in jobs), desc=name, unit="search") as bar:
        for job, found in _completed(jobs, min(processes, len(jobs))):
            yield job, found
            bar.update(len(found))


def _completed(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, list[Found]]]:
    if processes <= 1:
        yield from ((job, run(job)) for job in jobs)
        return
    spawn = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(processes, spawn, initializer=_leave_ctrl_c_to_the_parent) as pool:
        try:
            futures = {pool.submit(run, job): job for job in jobs}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:  # a pool would finish the jobs that it has handed out
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
