"""The stream of trials: its batches, their order, and repeated architectures."""

import random
from contextlib import suppress

import pytest

from lightning_nas.architecture import to_json
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import Budget
from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.evaluation.rungs import NO_RUNGS, Rungs
from lightning_nas.search.trial_stream import Stream, TrialStream
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import POLICY, RANDOM, Outcome, Proposal

SPACE = EdgeCellSpace()


class Evaluations:
    """Evaluator whose reward depends on the tokens; it records the evaluated tokens."""

    def __init__(self, fail=()):
        self.seen = []
        self.fail = fail

    def __call__(self, architecture, seed, poll):
        tokens = SPACE.encode(architecture)
        self.seen.append(tokens)
        if tokens in self.fail:
            return Outcome(0.0, error="out of memory")
        return Outcome(sum(tokens) / 24, parameters=1000 * (1 + sum(tokens)))

    def final(self, epochs):
        return self


class Shuffling(SerialExecutor):
    """Executor of three children at once that end in random order."""

    slots = 3
    order = random.Random(1)

    def wait(self, poll):
        self._queue.rotate(self.order.randrange(3))
        return super().wait(poll)


def tokens_of(number):
    return (number % 5, number // 5, 0, 0, 0, 0)


def propose(numbers):
    return [Proposal(number, tokens_of(number)) for number in numbers]


def rollouts(tmp_path, evaluate=None, executor=SerialExecutor, propose=propose, **settings):
    journal = Journal(tmp_path / "trials.sqlite", str(SPACE))
    observe = settings.pop("observe", lambda trial: None)
    rungs = settings.pop("rungs", NO_RUNGS)
    return TrialStream(
        propose,
        lambda proposal: SPACE.decode(proposal.tokens),
        executor(evaluate or Evaluations()),
        journal,
        Stream(**{"samples": 10, "batch": 4} | settings),
        observe=observe,
        rungs=rungs,
    )


def epochs(stream):
    batches = []
    while not stream.done:
        batches += list(stream)
    return [[trial.number for trial in batch] for batch in batches]


def test_each_trial_is_in_one_batch_and_the_last_batch_is_smaller(tmp_path):
    assert epochs(rollouts(tmp_path)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_batches_follow_the_order_in_which_children_end(tmp_path):
    batches = epochs(rollouts(tmp_path, executor=Shuffling))
    numbers = [number for batch in batches for number in batch]
    assert sorted(numbers) == list(range(10))
    assert numbers != list(range(10))
    assert list(map(len, batches)) == [4, 4, 2]


def test_the_number_of_running_children_is_at_most_the_number_of_slots(tmp_path):
    stream = rollouts(tmp_path, executor=Shuffling)
    most = 0
    wait = stream.executor.wait

    def counting(poll):
        nonlocal most
        most = max(most, len(stream.executor._queue))
        return wait(poll)

    stream.executor.wait = counting
    epochs(stream)
    assert most == 3


class Stopping(Evaluations):
    """Evaluator of four epochs whose children stop at rungs; accuracies rise with the epochs."""

    def __call__(self, architecture, seed, poll, cutoffs):
        quality = sum(SPACE.encode(architecture)) / 24
        accuracies = []
        for epoch in range(1, 5):
            accuracies.append(quality * epoch / 4)
            if accuracies[-1] < cutoffs.get(epoch, 0.0):
                break
        return Outcome(accuracies[-1], tuple(accuracies))


RUNGS = Rungs((1, 2))
SHUFFLED = random.Random(0).sample(range(24), 24)


def propose_shuffled(numbers):
    return [Proposal(number, tokens_of(SHUFFLED[number])) for number in numbers]


@pytest.mark.parametrize("executor", [SerialExecutor, Shuffling])
def test_children_stop_at_rungs_and_the_best_one_never_does(executor, tmp_path):
    stream = rollouts(tmp_path, Stopping(), executor, propose_shuffled, samples=24, rungs=RUNGS)
    epochs(stream)
    trials = stream.journal.list_ended()
    trained = [len(trial.outcome.accuracies) for trial in trials]
    assert sum(trained) < 0.7 * 4 * 24
    assert {1, 4} <= set(trained)
    best = max(trials, key=lambda trial: sum(trial.proposal.tokens))
    assert len(best.outcome.accuracies) == 4


def test_a_resumed_search_stops_the_same_children(tmp_path):
    whole = rollouts(
        tmp_path / "whole", Stopping(), propose=propose_shuffled, samples=24, rungs=RUNGS
    )
    epochs(whole)
    part = rollouts(
        tmp_path / "part", Stopping(), propose=propose_shuffled, samples=12, rungs=RUNGS
    )
    epochs(part)
    part.journal.close()
    rest = rollouts(
        tmp_path / "part",
        Stopping(),
        propose=propose_shuffled,
        samples=24,
        consumed=12,
        rungs=RUNGS,
    )
    epochs(rest)
    accuracies = [
        [trial.outcome.accuracies for trial in stream.journal.list_ended()]
        for stream in (whole, rest)
    ]
    assert accuracies[0] == accuracies[1]


def test_copies_of_a_running_child_do_not_use_up_the_samples(tmp_path):
    def propose_one(numbers):
        return [Proposal(number, tokens_of(0)) for number in numbers]

    stream = rollouts(tmp_path, executor=Shuffling, propose=propose_one, samples=1000, repeat=False)
    next(iter(stream))
    assert stream._proposal_count <= 8  # one batch of 4, at most as many again open


def test_with_one_slot_a_whole_batch_is_proposed_at_once(tmp_path):
    numbers = []
    stream = rollouts(tmp_path, propose=lambda n: numbers.append(list(n)) or propose(n))
    epochs(stream)
    assert numbers == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_with_at_once_1_each_trial_ends_before_the_next_proposal(tmp_path):
    events = []
    stream = rollouts(
        tmp_path,
        at_once=1,
        propose=lambda n: events.append(("proposed", n[0])) or propose(n),
        observe=lambda trial: events.append(("ended", trial.number)),
    )
    epochs(stream)
    assert events == [(what, n) for n in range(10) for what in ("proposed", "ended")]


def test_the_random_arm_is_evaluated_and_never_yielded(tmp_path):
    def with_random_arm(numbers):
        arms = {number: RANDOM if number % 3 == 0 else POLICY for number in numbers}
        return [Proposal(n, tokens_of(n), arm=arm) for n, arm in arms.items()]

    stream = rollouts(tmp_path, propose=with_random_arm)
    assert epochs(stream) == [[1, 2, 4, 5], [7, 8]]
    assert len(stream.journal.list_ended()) == 10


def test_an_evaluated_architecture_is_not_evaluated_again(tmp_path):
    evaluate = Evaluations()
    same = lambda numbers: [Proposal(n, tokens_of(n % 3)) for n in numbers]  # noqa: E731
    stream = rollouts(tmp_path, evaluate, propose=same)
    epochs(stream)
    assert len(evaluate.seen) == 3
    ended = {trial.number: trial for trial in stream.journal.list_ended()}
    assert [ended[n].same_as for n in range(6)] == [None, None, None, 0, 1, 2]
    assert ended[5].outcome == ended[2].outcome


def test_a_proposal_of_a_running_architecture_waits_for_its_outcome(tmp_path):
    evaluate = Evaluations()
    same = lambda numbers: [Proposal(n, tokens_of(1)) for n in numbers]  # noqa: E731
    stream = rollouts(tmp_path, evaluate, Shuffling, propose=same)
    assert list(map(len, epochs(stream))) == [4, 4, 2]
    assert len(evaluate.seen) == 1


def test_repeat_evaluates_an_architecture_again(tmp_path):
    evaluate = Evaluations()
    same = lambda numbers: [Proposal(n, tokens_of(1)) for n in numbers]  # noqa: E731
    epochs(rollouts(tmp_path, evaluate, propose=same, repeat=True))
    assert len(evaluate.seen) == 10


def test_a_failed_child_is_evaluated_again_at_the_next_proposal(tmp_path):
    evaluate = Evaluations(fail=[(1, 0, 0, 0, 0, 0)])
    same = lambda numbers: [Proposal(n, tokens_of(1)) for n in numbers]  # noqa: E731
    stream = rollouts(tmp_path, evaluate, propose=same)
    epochs(stream)
    assert len(evaluate.seen) == 10
    assert stream.journal.best((POLICY,), 1) == []


@pytest.mark.parametrize("ended", [0, 1, 3, 4, 5, 8])
def test_a_resumed_stream_continues_at_the_end_of_the_journal(ended, tmp_path):
    class Interrupting(Evaluations):
        def __call__(self, architecture, seed, poll):
            if len(self.seen) == ended:
                raise KeyboardInterrupt
            return super().__call__(architecture, seed, poll)

    first = rollouts(tmp_path, Interrupting())
    consumed = 0
    with suppress(KeyboardInterrupt):
        while True:
            list(first)
            consumed = first.consumed  # as in the checkpoint at the end of an epoch
    first.journal.close()
    evaluate = Evaluations()
    second = rollouts(tmp_path, evaluate, consumed=consumed)
    batches = epochs(second)
    whole = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches == whole[consumed // 4 :]
    assert evaluate.seen == [tokens_of(number) for number in range(ended, 10)]


def test_an_architecture_is_decoded_once_and_recognised_from_the_journal(tmp_path, monkeypatch):
    decoded = []
    decode = SPACE.decode
    monkeypatch.setattr(SPACE, "decode", lambda tokens: decoded.append(tokens) or decode(tokens))
    first = rollouts(tmp_path, samples=5)
    epochs(first)
    first.journal.close()
    assert decoded == [tokens_of(number) for number in range(5)]
    decoded.clear()
    evaluate = Evaluations()
    same = lambda numbers: [Proposal(n, tokens_of(n % 5)) for n in numbers]  # noqa: E731
    second = rollouts(tmp_path, evaluate, propose=same)
    assert decoded == []
    epochs(second)
    assert [trial.same_as for trial in second.journal.list_ended(after=5)] == list(range(5))
    assert evaluate.seen == []


def test_a_journal_with_fewer_trials_than_the_checkpoint_is_refused(tmp_path):
    with pytest.raises(
        InputError, match="has 0 ended trials, but the checkpoint was saved after 4"
    ):
        rollouts(tmp_path, consumed=4)


def test_proposals_are_in_the_journal_before_their_evaluation(tmp_path):
    class ReadingJournal(Evaluations):
        def __call__(self, architecture, seed, poll):
            texts = [
                row[0]
                for row in stream.journal._database.execute(
                    "SELECT architecture FROM trials WHERE ended IS NULL"
                )
            ]
            assert to_json(architecture) in texts
            return super().__call__(architecture, seed, poll)

    stream = rollouts(tmp_path, ReadingJournal())
    epochs(stream)
    assert stream.done


@pytest.mark.parametrize("reward", [1.5, -0.1, float("nan"), float("inf")])
def test_a_reward_outside_0_to_1_is_an_error_that_names_the_trial(reward, tmp_path):
    stream = rollouts(tmp_path, lambda architecture, seed, poll: Outcome(reward))
    with pytest.raises(InputError, match="trial 0"):
        epochs(stream)
    assert stream.journal.list_ended() == []


def test_a_budget_weighs_the_rewards(tmp_path):
    stream = rollouts(tmp_path, budget=Budget("parameters", target=4000, exponent=-0.5))
    epochs(stream)
    by_number = {trial.number: trial for trial in stream.journal.list_ended()}
    assert by_number[1].reward == pytest.approx(1 / 24 * (2000 / 4000) ** -0.5)
    assert by_number[1].outcome.reward == pytest.approx(1 / 24)
