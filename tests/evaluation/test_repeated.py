"""A repeated training is the mean of its trainings."""

import pickle

import pytest

from lightning_nas.evaluation.repeated import RepeatedTraining
from lightning_nas.storage.trial import Outcome


class Evaluate:
    """Evaluator whose accuracies follow from the seed, and that fails in the given training."""

    def __init__(self, fails_at=None):
        self.seeds = []
        self.fails_at = fails_at

    def __call__(self, architecture, seed, poll):
        poll()
        self.seeds.append(seed)
        if len(self.seeds) == self.fails_at:
            return Outcome(0.0, seconds=1.0, error="out of memory")
        accuracy = seed % 1000 / 1000
        return Outcome(accuracy**3, (accuracy / 2, accuracy), parameters=7, seconds=2.0)


def test_rewards_and_accuracies_are_means_and_seconds_are_added():
    evaluate = Evaluate()
    polls = []
    outcome = RepeatedTraining(evaluate, 3)("architecture", 5, lambda: polls.append(1))
    accuracies = [seed % 1000 / 1000 for seed in evaluate.seeds]
    assert evaluate.seeds[0] == 5
    assert len(set(evaluate.seeds)) == len(polls) == 3
    mean = sum(accuracies) / 3
    assert outcome.accuracies == pytest.approx((mean / 2, mean))
    assert outcome.reward == pytest.approx(sum(a**3 for a in accuracies) / 3)
    assert (outcome.parameters, outcome.seconds, outcome.error) == (7, 6.0, None)


def test_the_same_seed_gives_the_same_trainings():
    first, again = Evaluate(), pickle.loads(pickle.dumps(Evaluate()))
    outcomes = [RepeatedTraining(one, 2)("architecture", 11) for one in (first, again)]
    assert outcomes[0] == outcomes[1]
    assert first.seeds == again.seeds


def test_executors_see_the_penalty_and_the_time_limit_of_all_trainings():
    evaluate = Evaluate()
    repeated = RepeatedTraining(evaluate, 3)
    assert (repeated.penalty, repeated.time_limit) == (0.0, None)
    evaluate.penalty, evaluate.time_limit = 0.1, 20.0
    repeated = RepeatedTraining(evaluate, 3)
    assert (repeated.penalty, repeated.time_limit) == (0.1, 60.0)


def test_a_failure_ends_it():
    evaluate = Evaluate(fails_at=2)
    outcome = RepeatedTraining(evaluate, 4)("architecture", 5)
    assert len(evaluate.seeds) == 2
    assert (outcome.reward, outcome.seconds, outcome.error) == (0.0, 3.0, "out of memory")
