"""Costs in the reward, and which trials are worth their cost."""

import random

import pytest

from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import Budget, find_least_above, pareto_front
from lightning_nas.storage.trial import Outcome, Proposal, Trial


def trial(number, reward, parameters, error=None):
    outcome = Outcome(reward, parameters=parameters, error=error)
    return Trial(Proposal(number, (number,)), outcome, reward, number + 1)


def test_the_published_exponent_gives_five_percent_for_half_the_cost():
    budget = Budget("multiply_adds", target=1000)
    assert budget.weigh(Outcome(0.8, multiply_adds=1000)) == pytest.approx(0.8)
    assert budget.weigh(Outcome(0.8, multiply_adds=500)) / 0.8 == pytest.approx(1.05, abs=0.001)
    assert budget.weigh(Outcome(0.8, multiply_adds=2000)) / 0.8 == pytest.approx(0.953, abs=0.001)


def test_a_penalty_stays_as_it_is():
    assert Budget("parameters", 10).weigh(Outcome(0.1, parameters=5, error="diverged")) == 0.1


@pytest.mark.parametrize(
    "settings",
    [("size", 1.0), ("parameters", None), ("parameters", 0.0), ("latency", 1.0, 0.5)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match="budget"):
        Budget(*settings)


def test_a_cost_that_is_not_measured_is_an_error_with_advice():
    with pytest.raises(InputError, match=r"evaluation\.latency=true"):
        Budget("latency", 1.0).weigh(Outcome(0.5))


def test_a_target_below_every_known_cost_is_missed_by_the_lowest_one():
    trials = [trial(0, 0.5, 30), trial(1, 0.9, 20), trial(2, 0.9, None), trial(3, 0.9, 1, "failed")]
    assert find_least_above(trials, "parameters", 19.5) == 20
    assert find_least_above(trials, "parameters", 20) is None
    assert find_least_above([], "parameters", 20) is None


def test_the_front_holds_what_nothing_beats_in_both():
    drawn = random.Random(0)
    trials = [trial(n, drawn.random(), drawn.randrange(1, 50)) for n in range(200)]
    front = pareto_front([*trials, trial(200, 1.0, None), trial(201, 1.0, 1, "diverged")],
                         "parameters")  # fmt: skip

    def beaten(one):
        cost, reward = one.outcome.parameters, one.outcome.reward
        return any(
            t.outcome.parameters <= cost
            and t.outcome.reward >= reward
            and (t.outcome.parameters, t.outcome.reward) != (cost, reward)
            for t in trials
        )

    assert {t.number for t in front} == {t.number for t in trials if not beaten(t)}
    costs = [t.outcome.parameters for t in front]
    assert costs == sorted(costs)
