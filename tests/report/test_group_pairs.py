"""Groups of runs against each other, and against a group of random search."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from scipy import stats

from lightning_nas.report.group_pairs import (
    PAIR_HEAD,
    compare_groups,
    describe_against_random_search,
    describe_best,
    describe_pairs,
    find_p_value,
)
from lightning_nas.report.groups import group_runs
from lightning_nas.report.record import read_run
from lightning_nas.report.several import describe_groups, write_common_report
from lightning_nas.report.statistics import (
    BETTER,
    CANNOT_TELL,
    WORSE,
    compare_means,
    estimate_mean,
)
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, POLICY, Outcome, Proposal
from tests.report.folders import trial_search
from tests.report.test_html import Page

SEEDS = (1, 2, 3)
AGAINST = "By the best reward of each run (p corrected for the number of pairs)"
TABLE = {"_target_": "lightning_nas.evaluation.tabular.TabularBenchmark"}


def write_runs(folder, name, seeds=SEEDS, samples=120, **settings):
    """Write runs of one method that differ in their seeds."""
    method = {"budget": {"cost": None}, "samples": samples}
    return [
        trial_search(
            folder / f"{name}-{seed}", seed=seed, method_name=name, method=method, **settings
        )
        for seed in seeds
    ]


def read_groups(*folders):
    return group_runs([read_run(folder) for folder in folders])


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """A good search, a search that gains nothing, and random search."""
    folder = tmp_path_factory.mktemp("groups")
    good = write_runs(folder, "good", gain=0.5)
    poor = write_runs(folder, "poor", gain=0.0)
    return read_groups(*good, *write_random_search(folder), *poor)


def write_random_search(folder, seeds=(4, 5, 6), samples=120):
    """Write runs of random search; the summary names the method, as that of a search does."""
    runs = write_runs(folder, "random_search", seeds, samples, gain=0.0, control=0.0, learns=False)
    for run in runs:
        summary = run / "summary.json"
        summary.write_text(summary.read_text().replace("nasnet", "random_search"))
    return runs


def test_random_search_is_the_second_of_a_pair(groups):
    pairs = [(pair.first.name, pair.second.name) for pair in compare_groups(groups)]
    assert pairs == [("good", "random_search"), ("good", "poor"), ("poor", "random_search")]


def test_the_best_group_is_said_to_be_better_than_random_search(groups):
    words = describe_best(groups, compare_groups(groups))
    assert words.startswith("good is better than all others, random search included (good ")


def test_each_group_is_compared_with_random_search(groups):
    words = describe_against_random_search(compare_groups(groups))
    first, second = words.split("; ", maxsplit=1)
    assert first.startswith(f"{AGAINST}, good against random_search: Yes (+0.")
    assert second.startswith("poor against random_search: ")
    assert "Yes" not in second


def test_a_gain_of_a_controller_that_has_not_learned_is_no_success(tmp_path):
    lucky = write_runs(tmp_path, "lucky", gain=0.5, learns=False)
    words = describe_against_random_search(
        compare_groups(read_groups(*lucky, *write_random_search(tmp_path)))
    )
    assert "lucky against random_search: Cannot tell (+0." in words
    assert "because in 3 of 3 runs the entropy of the controller has not fallen" in words


def test_random_search_with_other_settings_is_no_baseline(tmp_path):
    runs = [*write_runs(tmp_path, "good", gain=0.5), *write_random_search(tmp_path, samples=60)]
    pairs = compare_groups(read_groups(*runs))
    assert len(pairs) == 1
    assert describe_against_random_search(pairs) == ""


def test_too_few_runs_of_random_search_are_said_to_be_too_few(tmp_path):
    runs = [*write_runs(tmp_path, "good", gain=0.5), *write_random_search(tmp_path, seeds=(4, 5))]
    words = describe_against_random_search(compare_groups(read_groups(*runs)))
    expected = "good against random_search: not enough data, each needs 3 runs."
    assert words == f"{AGAINST}, {expected}"


@pytest.mark.parametrize(
    "other", [{"finalists": 0}, {"finalist_epochs": 80}, {"finalist_seeds": 2}]
)
def test_finalists_are_not_compared_with_other_trainings(other, tmp_path):
    common = {"budget": {"cost": None}, "finalists": 2, "finalist_epochs": 40}
    runs = [
        trial_search(tmp_path / f"{place}-{seed}", seed=seed, method=method)
        for place, method in enumerate([common, common | other])
        for seed in SEEDS
    ]
    groups = read_groups(*runs)
    assert len(groups) == 2
    assert compare_groups(groups) == []
    assert describe_best(groups, []) == ""


def test_page_and_terminal_say_which_group_beat_random_search(groups, tmp_path):
    records = [record for group in groups for record in group.records]
    words = describe_against_random_search(compare_groups(groups))
    page = write_common_report([record.folder for record in records], tmp_path / "page.html")
    found = Page(page.read_text()).words
    assert found.index("Did the searches beat random search?") < found.index(words)
    assert found.index(words) < found.index("Groups of equal settings")
    assert words in describe_groups(records)


@pytest.mark.parametrize(
    ("evaluation", "seeds", "source"),
    [
        ({}, 1, "the validation accuracy after 40 epochs of training from scratch"),
        ({}, 3, "the validation accuracy after 40 epochs of training from scratch (mean of 3 "
                "trainings)"),
        (TABLE, 1, "the mean accuracy of all its trainings in the table"),
    ],
)  # fmt: skip
def test_page_and_terminal_say_what_the_reward_of_a_finalist_is(
    evaluation, seeds, source, tmp_path
):
    method = {"budget": {"cost": None}, "finalist_epochs": 40, "finalist_seeds": seeds}
    runs = [
        trial_search(tmp_path / name, method_name=name, method=method, evaluation=evaluation)
        for name in ("first", "second")
    ]
    expected = (
        f"The best reward is that of a finalist: it follows from {source}, and is not comparable "
        "with rewards of the search."
    )
    assert expected not in describe_groups([read_run(run) for run in runs])
    for run in runs:
        add_finalist(run)
    assert describe_groups([read_run(run) for run in runs]).count(expected) == 1
    found = Page(write_common_report(runs, tmp_path / "page.html").read_text()).words
    assert found.count(expected) == 1


def add_finalist(run):
    """Add a finalist to the journal of a search by trials."""
    with closing(Journal(run / "trials.sqlite", str(EdgeCellSpace()))) as journal:
        tokens = journal.best((POLICY,), 1)[0].proposal.tokens
        journal.propose([Proposal(120, tokens, arm=FINALIST)], [None])
        journal.end(120, Outcome(0.99, (0.99,)), 0.99)


def test_a_page_without_random_search_compares_with_the_random_arms_alone(tmp_path):
    runs = [*write_runs(tmp_path, "good", gain=0.5), *write_runs(tmp_path, "poor", gain=0.0)]
    found = Page(write_common_report(runs, tmp_path / "page.html").read_text()).words
    assert "By the best reward of each run" not in found
    assert "against the random arm inside its runs: good: Yes" in found


# ---- the correction for the number of pairs ------------------------------------------------------


def test_a_p_value_is_at_most_5_percent_if_the_interval_excludes_0():
    random = np.random.default_rng(0)
    verdicts = set()
    for gain in np.linspace(-2, 2, 41):
        first, second = random.normal(gain, 1, 4).tolist(), random.normal(0, 0.3, 3).tolist()
        means = estimate_mean(first), estimate_mean(second)
        difference, p_value = compare_means(*means, fewest=3), find_p_value(*means)
        assert p_value == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue)
        assert (p_value <= 0.05) == (difference.verdict in (BETTER, WORSE))
        verdicts.add(difference.verdict)
    assert {BETTER, WORSE} < verdicts


@pytest.mark.parametrize(("second", "expected"), [([0.5] * 3, 1.0), ([0.6] * 3, 0.0)])
def test_equal_runs_have_a_p_value_too(second, expected):
    assert find_p_value(estimate_mean([0.5] * 3), estimate_mean(second)) == expected


def test_more_groups_make_a_difference_harder_to_prove(tmp_path):
    """The p-value of one pair is multiplied by the number of pairs, 1 or 6."""
    first, second = (
        write_with_best_rewards(tmp_path, name, rewards)
        for name, rewards in (("first", (0.80, 0.81, 0.82)), ("second", (0.77, 0.78, 0.79)))
    )
    (alone,) = compare_groups(read_groups(*first, *second))
    assert alone.p_value == pytest.approx(0.0213, abs=1e-4)  # t = 3.67 at 4 degrees of freedom
    assert alone.difference.verdict == BETTER
    others = [
        run
        for name, rewards in (("third", (0.6, 0.8, 1.0)), ("fourth", (0.61, 0.8, 0.99)))
        for run in write_with_best_rewards(tmp_path, name, rewards)
    ]
    groups = read_groups(*first, *second, *others)
    pairs = compare_groups(groups)
    assert len(pairs) == 6
    assert pairs[0].p_value == pytest.approx(6 * alone.p_value)
    assert pairs[0].difference.verdict == CANNOT_TELL
    assert pairs[0].difference.low > 0  # the interval of the pair alone stays
    assert pairs[0].winner is None
    assert "no other group is measurably worse" in describe_best(groups, pairs)
    row = dict(zip(PAIR_HEAD, describe_pairs(pairs)[0], strict=True))
    assert (row["p (Holm)"], row["the first is"]) == ("0.1279", "cannot tell")


def write_with_best_rewards(folder, name, rewards):
    """Write runs whose best rewards are the given ones."""
    runs = write_runs(folder, name, range(len(rewards)), count=5)
    for run, reward in zip(runs, rewards, strict=True):
        with closing(sqlite3.connect(run / "trials.sqlite")) as journal, journal:
            journal.execute("UPDATE trials SET reward = ?", (reward,))
    return runs
