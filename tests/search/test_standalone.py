"""Trainings of chosen architectures: each once, whatever was broken off and whatever is added."""

import pytest
from test_rollouts import SPACE, Evaluations, Shuffling

from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.search.standalone import Candidate, Trainings
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import Outcome

A, B, C = (0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 2), (0, 0, 0, 0, 0, 3)
WANTED = [Candidate("control", A), Candidate("control", B), Candidate("derived", A, seeds=3)]


class Seeds(Evaluations):
    """An outcome that tells the seed; stops after so many, as a kill would."""

    def __init__(self, most=99):
        super().__init__()
        self.most = most

    def __call__(self, architecture, seed, poll):
        if len(self.seen) == self.most:
            raise KeyboardInterrupt
        self.seen.append(SPACE.encode(architecture))
        return Outcome(seed / 2**31, (seed / 2**31,))


def trained(folder, wanted=WANTED, evaluate=None, executor=SerialExecutor, seed=0):
    """The rewards of each candidate, and which architectures were trained for them."""
    evaluate = evaluate or Seeds()
    journal = Journal(folder / "judged.sqlite", str(SPACE), "judge")
    try:
        trials = Trainings(wanted, journal, seed).run(
            lambda proposal: SPACE.decode(proposal.tokens), executor(evaluate)
        )
    finally:
        journal.close()
    return [[trial.reward for trial in one] for one in trials], evaluate.seen


def test_each_is_trained_as_often_as_wanted_all_once_before_one_twice(tmp_path):
    rewards, seen = trained(tmp_path)
    assert seen == [A, B, A, A, A]
    assert [len(one) for one in rewards] == [1, 1, 3]
    assert len({reward for one in rewards for reward in one}) == 5  # a seed of its own for each


@pytest.mark.parametrize("most", range(5))
def test_what_was_broken_off_goes_on_as_if_it_had_not_been(most, tmp_path):
    unbroken, _ = trained(tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "broken", evaluate=Seeds(most))
    rewards, seen = trained(tmp_path / "broken")
    assert rewards == unbroken
    assert len(seen) == 5 - most


def test_several_at_once_which_end_in_any_order_give_the_same(tmp_path):
    several, _ = trained(tmp_path / "several", executor=Shuffling)
    assert several == trained(tmp_path / "one")[0]


def test_what_is_there_is_not_trained_again(tmp_path):
    first, _ = trained(tmp_path)
    again, seen = trained(tmp_path)
    assert again == first
    assert seen == []


def test_more_can_be_wanted_the_next_time_and_less(tmp_path):
    first, _ = trained(tmp_path)
    more = [WANTED[0], Candidate("control", B, seeds=2), Candidate("control", C), WANTED[2]]
    rewards, seen = trained(tmp_path, more)
    assert sorted(seen) == [B, C]
    assert [rewards[0], rewards[1][:1], rewards[3]] == first
    assert trained(tmp_path, WANTED[:1]) == ([first[0]], [])


def test_the_controller_may_draw_the_same_twice(tmp_path):
    rewards, seen = trained(tmp_path, [Candidate("policy", A, 2), Candidate("policy", A, 2)])
    assert seen == [A] * 4
    assert [len(one) for one in rewards] == [2, 2]
    assert len({reward for one in rewards for reward in one}) == 4


def test_another_seed_trains_otherwise(tmp_path):
    assert trained(tmp_path / "0")[0] != trained(tmp_path / "1", seed=1)[0]


def test_a_training_that_failed_has_another_turn_the_next_time(tmp_path):
    wanted = [Candidate("control", A), Candidate("control", B, seeds=2)]
    rewards, seen = trained(tmp_path, wanted, Evaluations(fail=(A,)))
    assert (rewards[0], seen) == ([0.0], [A, B, B])  # in one run it has no second
    before = rewards[1]
    rewards, seen = trained(tmp_path, wanted)
    assert seen == [A]
    assert rewards[0] > [0.0]
    assert rewards[1] == before
    assert trained(tmp_path, wanted) == (rewards, [])


def test_of_several_trainings_those_that_succeeded_are_taken(tmp_path):
    trained(tmp_path, [Candidate("control", A, seeds=2)], Evaluations(fail=(A,)))
    twice, _ = trained(tmp_path, [Candidate("control", A, seeds=2)])
    assert all(reward > 0 for reward in twice[0])
    assert trained(tmp_path, [Candidate("control", A)]) == ([twice[0][:1]], [])
