"""How a search went, against what was put into the journal."""

import contextlib
import dataclasses
import sqlite3
import statistics
from collections import Counter

import pytest

from lightning_nas.report import progress
from lightning_nas.report.progress import (
    choose_evenly,
    compare_arms,
    find_collapse,
    pair_epochs,
    shares_over_search,
    split_in_parts,
)
from lightning_nas.report.record import read_run
from lightning_nas.report.statistics import BETTER, NO_BETTER, NOT_ENOUGH
from lightning_nas.storage.trial import POLICY, RANDOM
from tests.report.folders import collapsed_search, growing_search, shared_search, trial_search


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return read_run(shared_search(tmp_path_factory.mktemp("shared") / "run"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return read_run(trial_search(tmp_path_factory.mktemp("trained") / "run"))


def test_the_epochs_of_shared_weights_are_those_of_the_search(shared):
    pairs = pair_epochs(shared)
    assert [(len(policy), len(control)) for policy, control in pairs] == [(10, 2)] * 8
    for number, (policy, _) in enumerate(pairs):
        assert {trial.proposal.step // 10 for trial in policy} == {number}


def test_the_controller_is_compared_with_the_uniform_ones_of_its_epoch(shared):
    ranking, half, whole = compare_arms(shared)
    pairs = pair_epochs(shared)
    differences = [
        statistics.fmean(t.reward for t in policy) - statistics.fmean(t.reward for t in control)
        for policy, control in pairs
    ]
    assert whole.difference.value == pytest.approx(statistics.fmean(differences))
    assert half.difference.value == pytest.approx(statistics.fmean(differences[4:]))
    assert (whole.policy.count, whole.control.count) == (80, 16)
    assert ranking.difference.verdict == whole.difference.verdict == BETTER


def test_epochs_without_a_random_arm_are_compared_with_nothing(tmp_path):
    folder = shared_search(tmp_path / "run", gain=0.0, derived=0)
    with contextlib.closing(sqlite3.connect(folder / "trials.sqlite")) as journal, journal:
        journal.execute("DELETE FROM trials WHERE arm = 'control' AND number >= 48")
    pairs = pair_epochs(read_run(folder))
    assert [(len(policy), len(control)) for policy, control in pairs] == [(10, 2)] * 4
    assert max(trial.proposal.step for trial in pairs[-1][0]) == 39


def test_where_the_space_stays_the_same_late_trainings_are_beside_the_whole_random_arm(trained):
    late, whole = compare_arms(trained)
    rewards = {
        arm: [t.reward for t in trained.trials if t.proposal.arm == arm] for arm in (POLICY, RANDOM)
    }
    assert whole.policy.value == pytest.approx(statistics.fmean(rewards[POLICY]))
    assert late.control.value == pytest.approx(statistics.fmean(rewards[RANDOM]))
    half = rewards[POLICY][len(rewards[POLICY]) // 2 :]
    assert late.policy.value == pytest.approx(statistics.fmean(half))


def test_where_the_space_grows_late_trainings_are_beside_the_random_arm_of_their_time(tmp_path):
    record = read_run(growing_search(tmp_path / "run"))
    late, whole = compare_arms(record)
    numbers = [t.number for t in record.of(POLICY)][60:]
    beside = [t.reward for t in record.of(RANDOM) if numbers[0] <= t.number <= numbers[-1]]
    assert late.control.value == pytest.approx(statistics.fmean(beside))
    assert late.control.count == len(beside) < whole.control.count == 40
    assert late.difference.verdict == whole.difference.verdict == NO_BETTER


def test_where_the_space_grows_entropy_is_not_compared_with_the_first_space(tmp_path):
    found = find_collapse(read_run(growing_search(tmp_path / "run")))
    assert (found.collapsed, found.entropy) == (False, None)


def test_what_is_no_better_and_what_cannot_be_said(tmp_path):
    alike = read_run(trial_search(tmp_path / "alike", gain=0.0))
    assert compare_arms(alike)[0].difference.verdict == NO_BETTER
    alone = read_run(trial_search(tmp_path / "alone", control=0.0))
    assert compare_arms(alone)[0].difference.verdict == NOT_ENOUGH


def test_an_architecture_proposed_again_is_one_evaluation(tmp_path):
    late, whole = compare_arms(read_run(collapsed_search(tmp_path / "run")))
    assert (late.policy.count, late.policy.evaluations) == (60, 1)
    assert late.difference.verdict == NOT_ENOUGH
    assert (whole.policy.count, whole.policy.evaluations) == (120, 30)
    assert whole.difference.verdict == NO_BETTER


def test_shares_are_those_of_the_architectures(trained):
    policy = trained.of(POLICY)
    counted = [
        Counter(name for trial in part for name in trained.architecture(trial).operations)
        for part in split_in_parts(policy)
    ]
    found = shares_over_search(trained)["operations"]
    assert sum(len(part) for part in split_in_parts(policy)) == len(policy)
    for name, share in found.items():
        assert share == pytest.approx([count[name] / count.total() for count in counted])


def test_shares_of_long_parts_are_those_of_evenly_chosen_architectures(trained, monkeypatch):
    assert choose_evenly(range(10), 4) == [0, 2, 5, 7]
    assert choose_evenly(range(3), 4) == [0, 1, 2]
    monkeypatch.setattr(progress, "DECODED", 3)
    found = shares_over_search(trained)["operations"]
    counts = [
        Counter(
            name
            for trial in choose_evenly(part, 3)
            for name in trained.architecture(trial).operations
        )
        for part in split_in_parts(trained.of(POLICY))
    ]
    for name, share in found.items():
        assert share == pytest.approx([count[name] / 18 for count in counts])


def test_one_architecture_again_and_again_is_a_collapse(tmp_path):
    found = find_collapse(read_run(shared_search(tmp_path / "run", same=True)))
    assert (found.collapsed, found.same) == (True, 1.0)


def test_no_entropy_is_a_collapse_and_enough_of_it_none(shared):
    assert not find_collapse(shared).collapsed
    settled = [{**row, "controller/entropy_epoch": 0.1} for row in shared.metrics]
    assert find_collapse(dataclasses.replace(shared, metrics=tuple(settled))).collapsed
