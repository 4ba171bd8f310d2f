"""One page of several runs, and the command that makes it."""

import contextlib
import math
import sqlite3
import statistics

import pytest

from lightning_nas.report.__main__ import main
from lightning_nas.report.progress import compare_arms
from lightning_nas.report.record import read_run
from lightning_nas.report.several import _curve, write_common_report
from lightning_nas.report.statistics import mean_of
from tests.report.folders import EDGES, only_control, shared_search, trial_search, write_folder
from tests.report.test_html import Page


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    for seed in (1, 2, 3):
        trial_search(folder / f"{seed}", seed=seed)
    return folder


def test_the_page_has_intervals_over_seeds(sweep):
    runs = [sweep / f"{seed}" for seed in (1, 2, 3)]
    found = Page(write_common_report(runs, sweep / "report.html").read_text())
    records = [read_run(run) for run in runs]
    best = mean_of([record.best[0].trial.reward for record in records])
    assert f"{best.value:.4f} ± {best.half:.4f} (95 %)" in found.said
    values = [compare_arms(record)[0].difference.value for record in records]
    half = 4.302652729911275 * statistics.stdev(values) / math.sqrt(3)  # Student's, 2 degrees
    mean = statistics.fmean(values)
    assert f"{mean:+.4f} (95 % interval {mean - half:.4f} to {mean + half:.4f})" in found.said
    for record in records:
        assert f"{record.best[0].trial.reward:.4f}" in found.said
    assert {"summary", "reward", "runs", "best"} <= set(found.ids)
    assert "more than their seeds" not in found.said


def test_runs_that_differ_in_more_than_the_seed_are_pointed_out(sweep, tmp_path):
    other = shared_search(tmp_path / "other", seed=9)
    page = write_common_report([sweep / "1", sweep / "2", other], tmp_path / "page.html")
    assert "differ in more than their seeds: method_name" in Page(page.read_text()).said


def test_runs_without_a_ranking_at_the_end_are_compared_by_what_all_have(tmp_path):
    runs = [
        shared_search(tmp_path / f"{seed}", seed=seed, derived=12 * (seed != 2))
        for seed in (0, 1, 2)
    ]
    said = Page(write_common_report(runs, tmp_path / "page.html").read_text()).said
    halves = [compare_arms(read_run(run))[-2].difference.value for run in runs]
    expected = "Over 3 of 3 runs, second half of the search, the mean reward of what the search"
    assert expected in said
    assert f"a difference of {statistics.fmean(halves):+.4f}" in said


def test_a_run_whose_random_arm_alone_has_ended_does_not_spoil_the_others(sweep, tmp_path):
    begun = trial_search(tmp_path / "begun", seed=4, status="")
    only_control(begun)
    runs = [*(sweep / f"{seed}" for seed in (1, 2, 3)), begun]
    said = Page(write_common_report(runs, tmp_path / "page.html").read_text()).said
    assert "Over 3 of 4 runs, second half of the search" in said


def test_a_run_that_has_only_begun_does_not_keep_a_sweep_from_its_page(tmp_path):
    for seed in (1, 2):
        trial_search(tmp_path / f"{seed}", seed=seed)
    begun = write_folder(tmp_path / "3", EDGES, status="")
    assert main([str(tmp_path)]) == 0
    said = Page((tmp_path / "report.html").read_text()).said
    assert f"left out, for nothing has ended in them: {begun}." in said
    assert "2 runs, seeds 1, 2." in said


def test_runs_of_which_nothing_has_ended_well_have_no_figures(tmp_path):
    runs = [trial_search(tmp_path / f"{n}", count=3, control=1.0, seed=n) for n in (4, 5)]
    for run in runs:
        with contextlib.closing(sqlite3.connect(run / "trials.sqlite")) as journal, journal:
            journal.execute("UPDATE trials SET error = 'out of memory'")
    said = Page(write_common_report(runs, tmp_path / "page.html").read_text()).said
    assert "nan" not in said


def test_searches_that_draw_uniformly_are_not_compared_with_themselves(tmp_path):
    uniform = {"_target_": "lightning_nas.controllers.uniform.UniformController"}
    runs = [
        shared_search(tmp_path / f"{seed}", seed=seed, controller=uniform) for seed in (0, 1, 2)
    ]
    said = Page(write_common_report(runs, tmp_path / "page.html").read_text()).said
    assert "It is chance: these searches draw uniformly." in said
    assert said.count("chance itself") == 3


def test_a_short_run_has_a_point_in_every_part():
    at, values = _curve([0.1, 0.2, 0.3])
    assert len(at) == 20
    assert values == [0.1] * 7 + [0.2] * 7 + [0.3] * 6
    assert _curve([n / 100 for n in range(100)])[1] == pytest.approx(
        [(5 * n + 2) / 100 for n in range(20)]
    )


def test_one_run_gets_its_report_into_its_folder(sweep, capsys):
    assert main([str(sweep / "1")]) == 0
    assert capsys.readouterr().out == f"{sweep / '1' / 'report.html'}\n"


def test_a_sweeps_folder_counts_as_its_runs_and_gives_the_same_bytes_twice(sweep, tmp_path):
    assert main([str(sweep), "-o", str(tmp_path / "page.html")]) == 0
    assert main([str(sweep)]) == 0
    assert (sweep / "report.html").read_bytes() == (tmp_path / "page.html").read_bytes()


def test_what_cannot_be_reported_is_one_line(sweep, tmp_path, capsys):
    begun = write_folder(tmp_path / "begun", EDGES)
    (tmp_path / "empty").mkdir()
    for given, said in [
        ([tmp_path / "nowhere"], "not a run folder"),
        ([tmp_path / "empty"], "not a run folder"),
        ([begun], "a search without trials"),
        ([sweep / "1", begun], "a search without trials"),
        ([sweep / "1", sweep / "1"], "given twice"),
        ([sweep / "1", "-o", tmp_path / "x.html"], "-o is for several runs"),
        ([sweep, "-o", "/proc/no/report.html"], "/proc/no"),
    ]:
        assert main([str(word) for word in given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert said in line
