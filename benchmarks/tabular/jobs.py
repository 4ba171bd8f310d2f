"""Searches in several processes: a job is one method on one data set, for a few seeds."""

import multiprocessing
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

SEEDS = 20  # of a job: more gain nothing, for their weights would not fit into a cache


@dataclass(frozen=True)
class Job:
    """Some searches.

    Args:
        name: By which results are told apart.
        settings: Of the method, beside the experiment's.
        dataset: Of the table.
        seeds: Of the searches.
        queries: Of each.
    """

    name: str
    settings: tuple[str, ...]
    dataset: str
    seeds: tuple[int, ...]
    queries: int


@dataclass(frozen=True)
class Found:
    """What one search asked, what it was answered, and the curve (``record.curve``)."""

    tokens_Q: list[Tokens]
    reward_Q: list[float]
    mean_Q: list[float]


open_table = lru_cache(TabularBenchmark)  # once for a process


def run(job: Job) -> list[Found]:
    """Return what each seed of a job found."""
    torch.set_num_threads(1)
    table = open_table(job.dataset)
    records = searched(composed(job.settings), job.seeds, job.queries, table)
    return [Found(r.tokens_Q, r.reward_Q, curve(r.tokens_Q, r.reward_Q, table)) for r in records]


def chunks(seeds: Sequence[int]) -> list[tuple[int, ...]]:
    """Return seeds in the portions of a job."""
    return [tuple(seeds[start : start + SEEDS]) for start in range(0, len(seeds), SEEDS)]


def completed(jobs: Sequence[Job], processes: int, name: str) -> Iterator[tuple[Job, list[Found]]]:
    """Yield jobs with what they found, as they end, under a bar that counts searches."""
    with tqdm(total=sum(len(job.seeds) for job in jobs), desc=name, unit="search") as bar:
        for job, found in _completed(jobs, min(processes, len(jobs))):
            yield job, found
            bar.update(len(found))


def _completed(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, list[Found]]]:
    if processes <= 1:
        yield from ((job, run(job)) for job in jobs)
        return
    spawn = multiprocessing.get_context("spawn")  # torch's threads do not live through a fork
    pool = ProcessPoolExecutor(processes, spawn)
    try:
        futures = {pool.submit(run, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:  # where it is interrupted, what has not begun is left; a ``with`` would wait for it
        pool.shutdown(wait=False, cancel_futures=True)
