"""The page for several runs, and the command that writes it."""

import contextlib
import html
import math
import re
import shlex
import sqlite3
import statistics

import pytest

from lightning_nas.report.__main__ import main
from lightning_nas.report.charts_runs import average_curve
from lightning_nas.report.comparison import compare_arms
from lightning_nas.report.groups import group_runs, list_settings
from lightning_nas.report.record import read_run
from lightning_nas.report.several import write_common_report
from lightning_nas.report.statistics import estimate_mean
from tests.report.folders import (
    EDGES,
    keep_only_random_arm,
    shared_search,
    trial_search,
    write_folder,
)
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
    best = estimate_mean([record.best[0].trial.reward for record in records])
    assert f"{best.value:.4f} ± {best.half:.4f} (95 %)" in found.words
    values = [compare_arms(record)[0].difference.value for record in records]
    half = 4.302652729911275 * statistics.stdev(values) / math.sqrt(3)  # Student's, 2 degrees
    mean = statistics.fmean(values)
    assert f"{mean:+.4f} (95 % interval {mean - half:.4f} to {mean + half:.4f})" in found.words
    for record in records:
        assert f"{record.best[0].trial.reward:.4f}" in found.words
    assert {"summary", "reward", "runs", "best"} <= set(found.ids)
    assert "more than their seeds" not in found.words


def test_runs_that_differ_in_more_than_the_seed_have_a_warning(sweep, tmp_path):
    other = shared_search(tmp_path / "other", seed=9)
    page = write_common_report([sweep / "1", sweep / "2", other], tmp_path / "page.html")
    found = Page(page.read_text())
    assert "differ in more than their seeds" not in found.words  # methods differ on purpose
    assert "Settings that differ" in found.words
    assert "all settings (" in found.words  # few enough to be shown without a click


def test_runs_that_differ_in_their_seed_alone_have_no_table_of_settings(sweep, tmp_path):
    page = write_common_report([sweep / "1", sweep / "2"], tmp_path / "page.html")
    assert "Settings that differ" not in Page(page.read_text()).words


def test_many_settings_that_differ_are_folded_by_the_first_part_of_their_names():
    named = {f"method.rate{n}": [0.1 * n, 0.0] for n in range(20)}
    settings = list_settings({"seed": [1, 2], "debug": [1, None], **named, "data.size": [8, 32]})
    assert [(part, len(rows)) for part, rows in settings] == [
        ("other", 1), ("method", 20), ("data", 1)
    ]  # fmt: skip
    assert settings[0][1] == [["debug", "1", "none"]]


def test_if_a_run_lacks_the_final_ranking_all_are_compared_by_the_second_half(tmp_path):
    runs = [
        shared_search(tmp_path / f"{seed}", seed=seed, derived=12 * (seed != 2))
        for seed in (0, 1, 2)
    ]
    words = Page(write_common_report(runs, tmp_path / "page.html").read_text()).words
    halves = [compare_arms(read_run(run))[-2].difference.value for run in runs]
    expected = (
        "In 3 of 3 runs, shared weights, second half of the search, mean reward of the search minus"
    )
    assert expected in words
    assert f"a difference of {statistics.fmean(halves):+.4f}" in words


def test_a_run_with_only_a_random_arm_does_not_spoil_the_verdict_of_the_others(sweep, tmp_path):
    begun = trial_search(tmp_path / "begun", seed=4, status="")
    keep_only_random_arm(begun)
    runs = [*(sweep / f"{seed}" for seed in (1, 2, 3)), begun]
    words = Page(write_common_report(runs, tmp_path / "page.html").read_text()).words
    assert "In 3 of 4 runs, second half of the search" in words


def test_a_run_without_trials_is_left_out_of_the_page_of_a_sweep(tmp_path):
    for seed in (1, 2):
        trial_search(tmp_path / f"{seed}", seed=seed)
    begun = write_folder(tmp_path / "3", EDGES, status="")
    assert main([str(tmp_path)]) == 0
    words = Page((tmp_path / "report.html").read_text()).words
    assert f"left out, because they have no trials yet: {begun}." in words
    assert "2 runs, seeds 1, 2." in words


def test_runs_with_only_failed_trials_have_no_figures(tmp_path):
    runs = [trial_search(tmp_path / f"{n}", count=3, control=1.0, seed=n) for n in (4, 5)]
    for run in runs:
        with contextlib.closing(sqlite3.connect(run / "trials.sqlite")) as journal, journal:
            journal.execute("UPDATE trials SET error = 'out of memory'")
    words = Page(write_common_report(runs, tmp_path / "page.html").read_text()).words
    assert "nan" not in words


def test_random_searches_are_not_compared_with_their_random_arms(tmp_path):
    uniform = {"_target_": "lightning_nas.controllers.uniform.UniformController"}
    runs = [
        shared_search(tmp_path / f"{seed}", seed=seed, controller=uniform) for seed in (0, 1, 2)
    ]
    words = Page(write_common_report(runs, tmp_path / "page.html").read_text()).words
    assert "This is random search: all architectures are sampled uniformly" in words
    assert words.count("not compared") == 3


def test_a_short_run_has_a_value_in_every_part():
    at, values = average_curve([0.1, 0.2, 0.3])
    assert len(at) == 20
    assert values == [0.1] * 7 + [0.2] * 7 + [0.3] * 6
    assert average_curve([n / 100 for n in range(100)])[1] == pytest.approx(
        [(5 * n + 2) / 100 for n in range(20)]
    )


def test_the_report_of_one_run_is_in_its_folder(sweep, capsys):
    assert main([str(sweep / "1")]) == 0
    assert capsys.readouterr().out == f"{sweep / '1' / 'report.html'}\n"


def test_the_folder_of_a_sweep_stands_for_its_runs_and_gives_the_same_bytes_twice(sweep):
    assert main([str(sweep)]) == 0
    page = (sweep / "report.html").read_bytes()
    assert main([str(sweep / f"{seed}") for seed in (1, 2, 3)]) == 0
    assert (sweep / "report.html").read_bytes() == page


def test_the_report_of_all_runs_is_not_replaced_by_that_of_some(sweep, tmp_path, capsys):
    assert main([str(sweep)]) == 0
    page, some = (sweep / "report.html").read_bytes(), [str(sweep / "1"), str(sweep / "2")]
    capsys.readouterr()
    assert main(some) == 2
    (line,) = capsys.readouterr().err.splitlines()
    path = sweep / "report.html"
    assert line == (
        f"error: {path} may be the report of other runs; name the file to write: -o FILE.html"
    )
    assert path.read_bytes() == page
    assert main([*some, "-o", str(tmp_path / "some.html")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'some.html'}\n"


def test_some_runs_have_a_report_beside_them_if_there_is_none_yet(tmp_path):
    runs = [trial_search(tmp_path / f"{seed}", seed=seed) for seed in (1, 2, 3)]
    assert main([str(run) for run in runs[:2]]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "2 runs, seeds 1, 2." in Page(page).words
    assert main([str(run) for run in runs[:2]]) == 0  # the page lists the same runs
    assert main([str(run) for run in runs[1:]]) == 2
    assert (tmp_path / "report.html").read_text() == page


def test_the_command_of_the_page_writes_the_same_page_again(sweep, tmp_path):
    for given in ([sweep], [sweep / "1", sweep / "2", "-o", tmp_path / "a page.html"]):
        assert main([str(word) for word in given]) == 0
        path = given[-1] if "-o" in given else sweep / "report.html"
        text = path.read_text()
        command = re.search(r"lightning_nas\.report (.*?)</code>", html.unescape(text)).group(1)
        path.unlink()
        assert main(shlex.split(command)) == 0
        assert path.read_text() == text


def test_an_error_is_one_line(sweep, tmp_path, capsys):
    begun = write_folder(tmp_path / "begun", EDGES)
    (tmp_path / "empty").mkdir()
    for given, expected in [
        ([tmp_path / "nowhere"], "no such folder"),
        ([tmp_path / "empty"], "not a run folder"),
        ([begun], "a search without trials"),
        ([sweep / "1", begun], "a search without trials"),
        ([sweep / "1", sweep / "1"], "given twice"),
        ([sweep / "1", "-o", tmp_path / "x.html"], "only for several runs"),
        ([sweep, "-o", "/proc/no/report.html"], "/proc/no"),
    ]:
        assert main([str(word) for word in given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert expected in line


def test_runs_of_one_method_with_other_settings_have_a_warning(tmp_path):
    runs = [trial_search(tmp_path / "one"), trial_search(tmp_path / "two", seed=1, batch=8)]
    found = Page(write_common_report(runs, tmp_path / "page.html").read_text())
    assert "differ in more than their seeds: batch" in found.words


def test_settings_that_change_no_reward_do_not_divide_a_group(tmp_path):
    runs = [
        trial_search(tmp_path / "wandb", logger={"wandb": {"_target_": "a.B"}}, tags=["x"]),
        trial_search(tmp_path / "csv", seed=1, logger={"csv": None}, executor={"slots": 4}),
        trial_search(tmp_path / "quiet", seed=2, callbacks={"progress": None}),
        trial_search(tmp_path / "slow", seed=3, callbacks={"time_left": {"seconds": 600}}),
    ]
    assert len(group_runs([read_run(run) for run in runs])) == 1
    other = trial_search(tmp_path / "other", callbacks={"derive": {"samples": 3}})
    assert len(group_runs([read_run(run) for run in (*runs, other)])) == 2


def test_the_page_says_first_which_group_is_best(tmp_path):
    runs = [
        trial_search(tmp_path / f"{batch}-{seed}", seed=seed, gain=gain, batch=batch)
        for batch, gain in ((8, 0.5), (20, 0.0))
        for seed in (1, 2, 3)
    ]
    words = Page(write_common_report(runs, tmp_path / "page.html").read_text()).words
    assert "nasnet batch=8 is better than all others" in words
    assert words.index("Which group is best?") < words.index("Did the searches beat")
    assert "6 runs in 2 groups of equal settings, seeds 1, 2, 3." in words
    assert "The verdict of a run is about its controller" in words


def test_groups_that_cannot_be_told_apart_are_said_to_be_so(tmp_path):
    runs = [
        trial_search(tmp_path / f"{batch}-{seed}", seed=seed, batch=batch)
        for batch in (8, 20)
        for seed in (1, 2, 3)
    ]
    words = Page(write_common_report(runs, tmp_path / "page.html").read_text()).words
    assert "no other group is measurably worse" in words
