"""Trainings of given architectures: each once, after interruptions and additions too."""

import pytest
from test_trial_stream import SPACE, Evaluations, Shuffling

from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.search.standalone import Candidate, Trainings
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import Outcome

A, B, C = (0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 2), (0, 0, 0, 0, 0, 3)
WANTED = [Candidate("control", A), Candidate("control", B), Candidate("derived", A, seeds=3)]


class Seeds(Evaluations):
    """Evaluator whose reward is the seed; it is interrupted after ``most`` trainings."""

    def __init__(self, most=99):
        super().__init__()
        self.most = most

    def __call__(self, architecture, seed, poll):
        if len(self.seen) == self.most:
            raise KeyboardInterrupt
        self.seen.append(SPACE.encode(architecture))
        return Outcome(seed / 2**31, (seed / 2**31,))


def train(folder, wanted=WANTED, evaluate=None, executor=SerialExecutor, seed=0):
    """Return the rewards of each candidate, and the architectures that were trained."""
    evaluate = evaluate or Seeds()
    journal = Journal(folder / "judged.sqlite", str(SPACE), "judge")
    try:
        trials = Trainings(wanted, journal, seed).run(
            lambda proposal: SPACE.decode(proposal.tokens), executor(evaluate)
        )
    finally:
        journal.close()
    return [[trial.reward for trial in one] for one in trials], evaluate.seen


def test_all_candidates_have_one_training_before_any_has_two(tmp_path):
    rewards, seen = train(tmp_path)
    assert seen == [A, B, A, A, A]
    assert [len(one) for one in rewards] == [1, 1, 3]
    assert len({reward for one in rewards for reward in one}) == 5  # a seed of its own for each


@pytest.mark.parametrize("most", range(5))
def test_resumed_trainings_equal_uninterrupted_ones(most, tmp_path):
    whole, _ = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "interrupted", evaluate=Seeds(most))
    rewards, seen = train(tmp_path / "interrupted")
    assert rewards == whole
    assert len(seen) == 5 - most


def test_the_order_of_ends_does_not_change_the_rewards(tmp_path):
    several, _ = train(tmp_path / "several", executor=Shuffling)
    assert several == train(tmp_path / "one")[0]


def test_trainings_in_the_journal_are_not_repeated(tmp_path):
    first, _ = train(tmp_path)
    again, seen = train(tmp_path)
    assert again == first
    assert seen == []


def test_a_later_call_may_request_more_or_fewer_trainings(tmp_path):
    first, _ = train(tmp_path)
    more = [WANTED[0], Candidate("control", B, seeds=2), Candidate("control", C), WANTED[2]]
    rewards, seen = train(tmp_path, more)
    assert sorted(seen) == [B, C]
    assert [rewards[0], rewards[1][:1], rewards[3]] == first
    assert train(tmp_path, WANTED[:1]) == ([first[0]], [])


def test_equal_candidates_do_not_share_trainings(tmp_path):
    rewards, seen = train(tmp_path, [Candidate("policy", A, 2), Candidate("policy", A, 2)])
    assert seen == [A] * 4
    assert [len(one) for one in rewards] == [2, 2]
    assert len({reward for one in rewards for reward in one}) == 4


def test_another_seed_gives_other_rewards(tmp_path):
    assert train(tmp_path / "0")[0] != train(tmp_path / "1", seed=1)[0]


def test_a_failed_training_is_repeated_in_the_next_call(tmp_path):
    wanted = [Candidate("control", A), Candidate("control", B, seeds=2)]
    rewards, seen = train(tmp_path, wanted, Evaluations(fail=(A,)))
    assert (rewards[0], seen) == ([0.0], [A, B, B])  # within one call it is not repeated
    before = rewards[1]
    rewards, seen = train(tmp_path, wanted)
    assert seen == [A]
    assert rewards[0] > [0.0]
    assert rewards[1] == before
    assert train(tmp_path, wanted) == (rewards, [])


def test_successful_trainings_come_before_failed_ones(tmp_path):
    train(tmp_path, [Candidate("control", A, seeds=2)], Evaluations(fail=(A,)))
    twice, _ = train(tmp_path, [Candidate("control", A, seeds=2)])
    assert all(reward > 0 for reward in twice[0])
    assert train(tmp_path, [Candidate("control", A)]) == ([twice[0][:1]], [])
