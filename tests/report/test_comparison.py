"""Comparisons of a search with its random arm, checked against the trials in the journal."""

import contextlib
import sqlite3
import statistics

import pytest

from lightning_nas.report.comparison import compare_arms, pair_epochs
from lightning_nas.report.record import read_run
from lightning_nas.report.statistics import BETTER, NO_BETTER, NOT_ENOUGH
from lightning_nas.storage.trial import POLICY, RANDOM
from tests.report.folders import collapsed_search, growing_search, shared_search, trial_search


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return read_run(shared_search(tmp_path_factory.mktemp("shared") / "run"))


def mean_difference(pair):
    policy, random_arm = ([trial.reward for trial in arm] for arm in pair)
    return statistics.fmean(policy) - statistics.fmean(random_arm)


def test_the_journal_of_shared_weights_is_divided_into_the_epochs_of_the_search(shared):
    pairs = pair_epochs(shared)
    assert [(len(policy), len(random_arm)) for policy, random_arm in pairs] == [(10, 2)] * 8
    for number, (policy, _) in enumerate(pairs):
        assert {trial.proposal.step // 10 for trial in policy} == {number}


def test_the_controller_is_compared_with_the_random_arm_of_the_same_epoch(shared):
    ranking, half, whole = compare_arms(shared)
    differences = list(map(mean_difference, pair_epochs(shared)))
    assert whole.difference.value == pytest.approx(statistics.fmean(differences))
    assert half.difference.value == pytest.approx(statistics.fmean(differences[4:]))
    assert (whole.search.count, whole.random_arm.count) == (80, 16)
    assert ranking.difference.verdict == whole.difference.verdict == BETTER


def test_epochs_without_a_random_arm_are_left_out(tmp_path):
    folder = shared_search(tmp_path / "run", gain=0.0, derived=0)
    with contextlib.closing(sqlite3.connect(folder / "trials.sqlite")) as journal, journal:
        journal.execute("DELETE FROM trials WHERE arm = 'control' AND number >= 48")
    pairs = pair_epochs(read_run(folder))
    assert [(len(policy), len(random_arm)) for policy, random_arm in pairs] == [(10, 2)] * 4
    assert max(trial.proposal.step for trial in pairs[-1][0]) == 39


def test_in_a_constant_space_the_second_half_is_compared_with_the_whole_random_arm(tmp_path):
    record = read_run(trial_search(tmp_path / "run"))
    late, whole = compare_arms(record)
    rewards = {
        arm: [t.reward for t in record.trials if t.proposal.arm == arm] for arm in (POLICY, RANDOM)
    }
    assert whole.search.value == pytest.approx(statistics.fmean(rewards[POLICY]))
    assert late.random_arm.value == pytest.approx(statistics.fmean(rewards[RANDOM]))
    half = rewards[POLICY][len(rewards[POLICY]) // 2 :]
    assert late.search.value == pytest.approx(statistics.fmean(half))


def test_in_a_growing_space_the_second_half_is_compared_with_the_random_arm_of_its_time(tmp_path):
    record = read_run(growing_search(tmp_path / "run"))
    late, whole = compare_arms(record)
    numbers = [t.number for t in record.select_arms(POLICY)][60:]
    rewards = [
        t.reward for t in record.select_arms(RANDOM) if numbers[0] <= t.number <= numbers[-1]
    ]
    assert late.random_arm.value == pytest.approx(statistics.fmean(rewards))
    assert late.random_arm.count == len(rewards) < whole.random_arm.count == 40
    assert late.difference.verdict == whole.difference.verdict == NO_BETTER


def test_equal_arms_are_no_better_and_a_missing_arm_is_not_enough(tmp_path):
    equal = read_run(trial_search(tmp_path / "equal", gain=0.0))
    assert compare_arms(equal)[0].difference.verdict == NO_BETTER
    alone = read_run(trial_search(tmp_path / "alone", control=0.0))
    assert compare_arms(alone)[0].difference.verdict == NOT_ENOUGH


def test_an_architecture_that_is_proposed_again_is_one_evaluation(tmp_path):
    late, whole = compare_arms(read_run(collapsed_search(tmp_path / "run")))
    assert (late.search.count, late.search.evaluations) == (60, 1)
    assert late.difference.verdict == NOT_ENOUGH
    assert (whole.search.count, whole.search.evaluations) == (120, 30)
    assert whole.difference.verdict == NO_BETTER
