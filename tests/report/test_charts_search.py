"""The values that the charts of a search draw, compared with the journal."""

import numpy as np
import pytest

from lightning_nas.report.charts_search import chart_arms, chart_choices, join_epochs
from lightning_nas.report.comparison import list_rewards, pair_epochs
from lightning_nas.report.record import read_run
from tests.report.folders import shared_search


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return read_run(shared_search(tmp_path_factory.mktemp("shared") / "run"))


def test_epochs_are_joined_until_both_arms_have_five_trials(shared):
    pairs = join_epochs(pair_epochs(shared))
    sizes = [(len(policy), len(random_arm)) for policy, random_arm in pairs]
    assert sizes == [(30, 6), (30, 6), (20, 4)]
    assert [t for policy, _ in pairs for t in policy] == [
        t for policy, _ in pair_epochs(shared) for t in policy
    ]
    assert len(join_epochs(pair_epochs(shared) * 50)) <= 24


def test_a_difference_with_too_few_trials_is_a_hollow_dot(shared):
    axes = next(iter(chart_arms(shared))).figure.axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == [14.5, 44.5, 69.5]
    assert [line.get_markerfacecolor() == "none" for line in dots] == [False, False, True]
    assert len(axes.collections) == 2  # intervals
    for line, (policy, random_arm) in zip(dots, join_epochs(pair_epochs(shared)), strict=True):
        difference = np.mean(list_rewards(policy)) - np.mean(list_rewards(random_arm))
        assert line.get_ydata()[0] == pytest.approx(difference)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_single_layer_has_no_chart_of_skips(layers, tmp_path):
    record = read_run(shared_search(tmp_path / "run", layers=layers))
    names = [chart.name for chart in chart_choices(record)]
    assert names == ["choice-operations", "choice-skips"][:layers]
