"""What is drawn, against what the journal has."""

import numpy as np
import pytest

from lightning_nas.report.charts_search import arm_charts, choice_charts, join_epochs
from lightning_nas.report.progress import list_rewards, pair_epochs
from lightning_nas.report.record import read_run
from tests.report.folders import shared_search


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return read_run(shared_search(tmp_path_factory.mktemp("shared") / "run"))


def test_epochs_are_joined_until_both_arms_have_five(shared):
    found = join_epochs(pair_epochs(shared))
    assert [(len(policy), len(control)) for policy, control in found] == [(30, 6), (30, 6), (20, 4)]
    assert [t for policy, _ in found for t in policy] == [
        t for p, _ in pair_epochs(shared) for t in p
    ]
    assert len(join_epochs(pair_epochs(shared) * 50)) <= 24


def test_a_difference_of_too_few_is_a_hollow_dot_at_its_steps(shared):
    axes = next(iter(arm_charts(shared))).figure.axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == [14.5, 44.5, 69.5]
    assert [line.get_markerfacecolor() == "none" for line in dots] == [False, False, True]
    assert len(axes.collections) == 2  # intervals
    for line, (policy, control) in zip(dots, join_epochs(pair_epochs(shared)), strict=True):
        less = np.mean(list_rewards(policy)) - np.mean(list_rewards(control))
        assert line.get_ydata()[0] == pytest.approx(less)


@pytest.mark.parametrize("layers", [1, 2])
def test_of_a_single_layer_which_has_no_skips_none_are_drawn(layers, tmp_path):
    record = read_run(shared_search(tmp_path / "run", layers=layers))
    names = [chart.name for chart in choice_charts(record)]
    assert names == ["choice-operations", "choice-skips"][:layers]
