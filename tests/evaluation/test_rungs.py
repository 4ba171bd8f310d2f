"""Which children go on at a rung."""

import pytest
from omegaconf import OmegaConf

from lightning_nas.errors import InputError
from lightning_nas.evaluation.rungs import RungRecord, Rungs
from lightning_nas.storage.trial import Outcome, Proposal, Trial


def trial(*accuracies, error=None, same_as=None):
    return Trial(Proposal(0, (0,)), Outcome(0.5, accuracies, error=error), 0.5, 1, same_as)


def record(*trials, epochs=(1, 3), keep=1 / 3):
    record = RungRecord(Rungs(epochs, keep))
    for one in trials:
        record.observe(one)
    return record


def test_without_enough_children_every_child_goes_on():
    assert record().cutoffs() == {}
    assert record(trial(0.1)).cutoffs() == {}


def test_the_best_third_goes_on_itself_counted():
    five = [trial(accuracy) for accuracy in (0.5, 0.1, 0.4, 0.2, 0.3)]
    assert record(*five).cutoffs() == {1: 0.4}  # with the next child there are six: two go on
    assert record(*five, trial(0.6), trial(0.7)).cutoffs() == {1: 0.6}  # 8 / 3 = 2.67: two


def test_each_rung_compares_the_children_that_reached_it():
    reached = [trial(0.5, 0.6, 0.9, 0.9), trial(0.6, 0.7, 0.8), trial(0.1), trial(0.2)]
    assert record(*reached).cutoffs() == {1: 0.6, 3: 0.9}


@pytest.mark.parametrize(("keep", "children", "going_on"), [(1 / 3, 2, 1), (0.57, 99, 57)])
def test_a_share_is_rounded_as_it_is_meant(keep, children, going_on):
    cutoff = record(*[trial(n / 100) for n in range(children)], keep=keep).cutoffs()[1]
    assert sum(n / 100 >= cutoff for n in range(children)) == going_on


def test_the_configuration_keeps_a_third():
    keep = OmegaConf.load("configs/evaluation/child.yaml").keep
    assert record(trial(0.1), trial(0.2), keep=keep).cutoffs() == {1: 0.2}


def test_failures_and_copies_do_not_count():
    ignored = [trial(0.9, error="out of memory"), trial(0.9, same_as=0)]
    assert record(trial(0.1), *ignored).cutoffs() == {}


def test_no_better_child_is_ever_stopped_in_favour_of_a_worse_one():
    cutoff = record(*[trial(n / 100) for n in range(100)]).cutoffs()[1]
    going_on = [n for n in range(100) if n / 100 >= cutoff]
    assert going_on == list(range(67, 100))


@pytest.mark.parametrize("keep", [0.0, 1.0, -0.5, float("nan")])
def test_shares_outside_of_0_to_1_are_refused(keep):
    with pytest.raises(InputError, match=r"evaluation\.keep must be in"):
        Rungs((1,), keep).check(3)
