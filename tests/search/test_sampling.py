"""Which trials belong to the random arm."""

import pytest
import torch

from lightning_nas.data.seeding import make_generator
from lightning_nas.search.sampling import Sampling
from lightning_nas.storage.trial import RANDOM

SHARES = (0.0, 0.01, 0.1, 0.25, 0.3, 1 / 3, 0.5, 0.9, 0.99)


def list_random(share, trials, seed=0, **settings):
    """Return, for each trial, whether it belongs to the random arm."""
    sampling = Sampling(trials, random_share=share, seed=seed, **settings)
    return [sampling.choose_arm(number)[0] == RANDOM for number in range(trials)]


@pytest.mark.parametrize("share", SHARES)
def test_a_stratified_random_arm_has_exactly_its_share_of_the_first_trials(share):
    is_random = list_random(share, 400, stratify=True)
    for trials in range(1, 401):
        assert sum(is_random[:trials]) == round(trials * share)


@pytest.mark.parametrize("share", SHARES)
def test_a_stratified_random_arm_is_evenly_spread(share):
    is_random = list_random(share, 300, stratify=True)
    for width in (3, 10, 50):
        for first in range(300 - width):
            assert abs(sum(is_random[first : first + width]) - width * share) <= 1


def test_seed_and_number_of_samples_do_not_change_a_stratified_random_arm():
    first = list_random(0.1, 150, seed=0, stratify=True)
    assert sum(first) == 15
    assert list_random(0.1, 1000, seed=7, stratify=True)[:150] == first


def test_finalists_in_the_journal_do_not_change_the_share():
    """A search of 25 trials and 7 finalists is extended: later numbers are higher by 7."""
    sampling = Sampling(150, random_share=0.1, stratify=True)
    numbers = [*((n, n) for n in range(25)), *((n + 7, n) for n in range(25, 150))]
    arms = [sampling.choose_arm(number, place)[0] for number, place in numbers]
    assert arms.count(RANDOM) == 15
    assert arms[:25].count(RANDOM) == 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_the_setting_a_run_continues_with_the_arms_of_earlier_versions(seed):
    chances = [
        float(torch.rand((), generator=make_generator("proposal", seed, number)))
        for number in range(150)
    ]
    assert list_random(0.1, 150, seed) == [chance < 0.1 for chance in chances]


def test_the_seed_of_a_sample_does_not_depend_on_the_rule():
    rules = [Sampling(9, random_share=0.3, stratify=stratify) for stratify in (False, True)]
    seeds = [[rule.choose_arm(number)[1] for number in range(9)] for rule in rules]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 9
