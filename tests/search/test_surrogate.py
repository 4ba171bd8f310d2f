"""The surrogate finds good candidates, and its choice is a function of the trials and the seed."""

import pytest
import torch

from lightning_nas.errors import InputError
from lightning_nas.search.sampling import Sampling
from lightning_nas.search.surrogate import REFIT, Surrogate, build_surrogate
from lightning_nas.spaces.edge_cell import EdgeCellSpace

OPTIONS = [5] * 6
GOAL = torch.tensor([3, 1, 4, 1, 2, 0])


def sample(count, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(5, (count, len(OPTIONS)), generator=generator).tolist()
    return [tuple(row) for row in rows]


def reward(tokens):
    """Share of the decisions that agree with a planted architecture."""
    return float((torch.tensor(tokens) == GOAL).float().mean())


def observe(surrogate, tokens):
    for given in tokens:
        surrogate.observe(given, reward(given))
    return surrogate


def test_it_chooses_better_candidates_than_chance():
    surrogate = observe(Surrogate(OPTIONS, 10, 0), sample(60, 0))
    draws = [sample(20, seed) for seed in range(1, 31)]
    generator = torch.Generator().manual_seed(0)
    chosen = [reward(surrogate.choose(candidates, generator)) for candidates in draws]
    mean = sum(reward(tokens) for candidates in draws for tokens in candidates) / 600
    best = sum(max(map(reward, candidates)) for candidates in draws) / 30
    assert sum(chosen) / 30 > mean + 0.5 * (best - mean)


def test_it_is_ready_after_the_first_trials():
    surrogate = Surrogate(OPTIONS, 10, 0)
    assert not observe(surrogate, sample(9, 0)).is_ready
    assert observe(surrogate, sample(1, 1)).is_ready


@pytest.mark.parametrize("more", range(REFIT + 1))
def test_after_a_resume_it_chooses_what_it_would_have_chosen(more):
    uninterrupted = observe(Surrogate(OPTIONS, 10, 7), sample(10, 0))
    candidates = sample(50, 1)
    uninterrupted.choose(candidates)  # fits a forest on ten trials
    observe(uninterrupted, sample(more, 2))
    resumed = observe(Surrogate(OPTIONS, 10, 7), sample(10, 0) + sample(more, 2))
    for seed in range(5):
        choices = [
            one.choose(candidates, torch.Generator().manual_seed(seed))
            for one in (uninterrupted, resumed)
        ]
        assert choices[0] == choices[1]


def test_a_search_too_short_for_a_choice_is_refused():
    assert build_surrogate(EdgeCellSpace(), Sampling(21, batch=20, candidates=1)) is None
    assert build_surrogate(EdgeCellSpace(), Sampling(21, batch=20, candidates=5)).first == 20
    with pytest.raises(InputError, match=r"candidates=5 needs method\.samples above 20, got 20"):
        build_surrogate(EdgeCellSpace(), Sampling(20, batch=20, candidates=5))


def test_draws_differ_where_the_trials_say_little():
    surrogate = observe(Surrogate(OPTIONS, 10, 0), sample(10, 0))
    generator = torch.Generator().manual_seed(0)
    candidates = sample(200, 1)
    assert len({surrogate.choose(candidates, generator) for _ in range(20)}) > 3


def test_architectures_may_have_fewer_decisions_than_the_deepest():
    surrogate = observe(Surrogate(OPTIONS, 10, 0), sample(10, 0))
    surrogate.observe((3, 1), 1.0)
    assert surrogate.choose([(3, 1), (0, 0)]) in {(3, 1), (0, 0)}
