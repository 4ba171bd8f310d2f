"""NAS, NASNet, random search and evolution on rewards that are known beforehand."""

import statistics
from functools import partial

import pytest
import torch
from hydra.utils import instantiate
from small import trainer

from benchmarks.experiment import experiment
from lightning_nas.architecture import to_json
from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.methods.evolution import Evolution
from lightning_nas.methods.nas import NAS
from lightning_nas.methods.nasnet import NASNet
from lightning_nas.methods.random_search import RandomSearch
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, POLICY, RANDOM, Outcome, Proposal

EDGES = EdgeCellSpace()
BEST = (3, 1, 4, 0, 2, 3)  # planted


class Planted:
    """The reward is the share of decisions that are those of the planted architecture."""

    def __init__(self, space=EDGES, best=BEST):
        self.space, self.best = space, best
        self.finals = []

    def __call__(self, architecture, seed, poll):
        tokens = self.space.encode(architecture)
        return Outcome(sum(a == b for a, b in zip(tokens, self.best, strict=True)) / len(tokens))

    def final(self, epochs):
        def longer(architecture, seed, poll):
            self.finals.append((architecture, epochs))
            return Outcome(0.25 + 0.01 * len(self.finals))

        return longer


class Depth:
    """Rewards deep networks, and cannot be told apart from its own finals."""

    def __call__(self, architecture, seed, poll):
        return Outcome(len(architecture.layers) / 100)


def controller(space, lr=0.02, **settings):
    policy = LSTMController(space, hidden=24, bias=True, tanh_constant=None, **settings)
    return ControllerModule(
        policy, MovingAverageBaseline(0.8), partial(torch.optim.Adam, lr=lr), entropy_weight=0.0
    )


def method(name, folder, seed=0, evaluator=None, samples=150, space=EDGES, **settings):
    torch.manual_seed(seed)
    common = {
        "data": None,
        "evaluation": lambda data: evaluator or Planted(),
        "executor": SerialExecutor,
        "journal": folder / "trials.sqlite",
        "samples": samples,
        "batch": 10,
        "seed": seed,
    } | settings
    if name == "nas":
        return NAS(controller(space, layers=2, skips="sigmoid"), **common)
    if name == "nasnet":
        return NASNet(controller(space, picks="softmax"), **common)
    if name == "evolution":
        return Evolution(population=20, tournament=5, space=space, **common)
    return RandomSearch(space=space, **common)


def searched(name, folder, **settings):
    """Return the method after its search, and what it derived, with the journal still open."""
    search = method(name, folder, **settings)
    search.teardown = lambda stage: None
    trainer(folder, -1, log_every_n_steps=1).fit(search)
    derived = search.derive(1, lambda items, total: items)
    return search, derived


def distance(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


METHODS = ["nas", "nasnet", "random_search", "evolution"]


@pytest.mark.parametrize("name", METHODS)
def test_a_search_evaluates_as_many_as_asked_and_hands_over_the_best(name, tmp_path):
    search, derived = searched(name, tmp_path, samples=35)
    ended = search.journal.ended()
    assert [trial.number for trial in ended] == list(range(35))
    assert search.updates == 4
    assert derived.reward == max(trial.reward for trial in ended)
    assert Planted()(derived.architecture, 0, None).reward == derived.reward


@pytest.mark.parametrize("name", ["nas", "nasnet", "evolution"])
def test_what_learns_gets_better(name, tmp_path):
    _, derived = searched(name, tmp_path, samples=300)
    first, last = derived.sampled[:60], derived.sampled[-60:]
    assert statistics.fmean(last) > statistics.fmean(first) + 0.2


def test_the_same_seed_proposes_the_same_and_another_another(tmp_path):
    tokens = [
        [t.proposal for t in searched("nasnet", tmp_path / f"{i}", seed=seed, samples=30)[0]
         .journal.ended()]
        for i, seed in enumerate((1, 1, 2))
    ]  # fmt: skip
    assert tokens[0] == tokens[1] != tokens[2]


def test_log_probabilities_are_those_under_which_the_architecture_was_drawn(tmp_path):
    search = method("nasnet", tmp_path, samples=10)
    proposals = search.propose(range(10))
    rollout = search.controller.score([proposal.tokens for proposal in proposals])
    for proposal, log_probs in zip(proposals, rollout.log_prob_NT.tolist(), strict=True):
        assert proposal.log_probs == pytest.approx(log_probs, abs=1e-5)


def test_the_control_arm_is_drawn_uniformly_and_teaches_nothing(tmp_path):
    search, derived = searched("nasnet", tmp_path, samples=300, control=0.3)
    arms = [trial.proposal.arm for trial in search.journal.ended()]
    assert 60 < arms.count(RANDOM) < 120
    assert arms.count(POLICY) + arms.count(RANDOM) == 300
    uniform = [t for t in search.journal.ended() if t.proposal.arm == RANDOM]
    assert all(t.proposal.log_probs == pytest.approx([-1.6094] * 6, abs=1e-3) for t in uniform)
    assert statistics.fmean(derived.sampled) > statistics.fmean(derived.uniform) + 0.1


def test_finalists_are_the_best_and_the_choice_is_theirs(tmp_path):
    evaluator = Planted()
    search, derived = searched(
        "evolution", tmp_path, evaluator=evaluator, finalists=3, finalist_epochs=7, samples=60
    )
    best = search.journal.best((POLICY,), 3)
    assert [architecture for architecture, _ in evaluator.finals] == [
        search.architecture(trial.proposal) for trial in best
    ]
    assert {epochs for _, epochs in evaluator.finals} == {7}
    finalists = search.journal.best((FINALIST,), 9)
    assert len(finalists) == 3
    assert derived.reward == pytest.approx(0.28)  # the last was the best
    assert derived.architecture == evaluator.finals[-1][0]


def test_finalists_that_were_broken_off_are_trained_longer_all_the_same(tmp_path):
    class Broken(Planted):
        def final(self, epochs):
            def longer(architecture, seed, poll):
                if self.finals:
                    raise KeyboardInterrupt
                self.finals.append((architecture, epochs))
                return Outcome(0.9)

            return longer

    settings = {"samples": 30, "finalists": 3}
    first = method("random_search", tmp_path, evaluator=Broken(), **settings)
    first.teardown = lambda stage: None
    trainer(tmp_path, -1, log_every_n_steps=1).fit(first)
    with pytest.raises(KeyboardInterrupt):
        first.derive(1, lambda items, total: items)
    first.journal.close()
    evaluator = Planted()
    search, derived = searched("random_search", tmp_path, evaluator=evaluator, **settings)
    best = [search.architecture(t.proposal) for t in search.journal.best((POLICY,), 3)]
    assert [architecture for architecture, _ in evaluator.finals] == best[1:]
    rewards = [trial.reward for trial in search.journal.best((FINALIST,), 9)]
    assert rewards == pytest.approx([0.9, 0.27, 0.26])
    assert derived.architecture == best[0]


def test_a_search_that_goes_on_after_its_finalists_has_finalists_anew(tmp_path):
    first, _ = searched("random_search", tmp_path, samples=20, finalists=2)
    first.journal.close()
    again = method("random_search", tmp_path, samples=150, finalists=2)
    again.teardown = lambda stage: None
    again._consumed = 20  # as the checkpoint of the first has it
    trainer(tmp_path, -1, log_every_n_steps=1).fit(again)
    derived = again.derive(1, lambda items, total: items)
    trials = again.journal.ended()
    assert sum(trial.proposal.arm == POLICY for trial in trials) == 150
    best = {trial.proposal.tokens for trial in again.journal.best((POLICY,), 2)}
    assert {again.space.encode(ranked.architecture) for ranked in derived.top} == best


def test_finalists_that_all_fail_are_said_aloud(tmp_path):
    class Failing(Planted):
        def final(self, epochs):
            return lambda architecture, seed, poll: Outcome(0.0, error="out of memory")

    with pytest.raises(InputError, match="all 2 finalists failed, the first: out of memory"):
        searched("random_search", tmp_path, evaluator=Failing(), samples=20, finalists=2)


@pytest.mark.parametrize("name", ["nas", "random_search", "evolution"])
def test_networks_grow_by_two_layers_as_published(name, tmp_path):
    space = ChainSpace(layers=6)
    search = method(name, tmp_path, space=space, samples=12_800, grow_every=1600)
    depths = {number: search.space_at(number).layers for number in (0, 1599, 1600, 12_799)}
    assert depths == {0: 6, 1599: 6, 1600: 8, 12_799: 20}


def test_a_batch_of_networks_of_several_depths_is_learnt_from(tmp_path):
    space = ChainSpace(layers=2)
    search, _ = searched(
        "nas", tmp_path, space=space, evaluator=Depth(), samples=30, grow_every=7, grow_by=1
    )
    layers = [len(search.architecture(t.proposal).layers) for t in search.journal.ended()]
    assert layers == [2 + number // 7 for number in range(30)]
    trials = search.journal.ended()[:20]
    rollout = search.controller.score(
        [t.proposal.tokens for t in trials], [search.space_of(t.proposal.tokens) for t in trials]
    )
    for place, trial in enumerate(trials):
        alone = search.controller.score(
            [trial.proposal.tokens], [search.space_of(trial.proposal.tokens)]
        )
        assert rollout.log_prob_N[place].item() == pytest.approx(alone.log_prob_N.item(), abs=1e-4)


def test_a_child_of_evolution_in_a_space_that_grew_has_new_layers_on_top_of_its_parents(tmp_path):
    search, _ = searched(
        "evolution", tmp_path, space=ChainSpace(layers=1), evaluator=Depth(), samples=60,
        grow_every=30, grow_by=2,
    )  # fmt: skip
    tokens = [trial.proposal.tokens for trial in search.journal.ended()]
    assert [len(search.space_of(t).decode(t).layers) for t in tokens] == [1] * 30 + [3] * 30
    one = len(tokens[0])
    kept = tokens[30][:one]
    assert min(distance(kept, parent) for parent in tokens[10:30]) <= 1  # it may be a new layer's


@pytest.mark.parametrize("name", ["random_search", "evolution"])
def test_other_methods_search_where_an_experiment_has_networks_grow(name, tmp_path):
    cfg = experiment(["experiment=nas_cifar", f"method={name}"], tmp_path).method
    search = instantiate(cfg, data=None, evaluation=lambda data: Depth())
    assert (search.space_at(0).layers, search.space_at(12_799).layers) == (6, 20)


def test_depth_grows_in_the_chain_space_alone(tmp_path):
    with pytest.raises(InputError, match="chain space alone"):
        method("nas", tmp_path, grow_every=10)


def test_a_journal_of_deeper_networks_than_the_search_has_is_refused(tmp_path):
    search = method("random_search", tmp_path, space=ChainSpace(layers=2))
    with pytest.raises(InputError, match=r"of 12 decisions, which method\.grow_every=None"):
        search.space_of((0,) * ChainSpace(layers=3).length)


def test_a_child_of_evolution_differs_from_a_living_one_by_one_decision(tmp_path):
    search, _ = searched("evolution", tmp_path, samples=80)
    tokens = [trial.proposal.tokens for trial in search.journal.ended()]
    for number in range(20, 80):
        living = tokens[number - 20 : number]
        assert 1 in [distance(tokens[number], other) for other in living]


def test_a_search_that_draws_again_tries_nothing_twice_also_where_it_goes_on(tmp_path):
    first, _ = searched("nasnet", tmp_path, samples=30, redraws=200)
    first.journal.close()
    again = method("nasnet", tmp_path, samples=120, redraws=200)
    again.teardown = lambda stage: None
    again._consumed = 30
    trainer(tmp_path, -1, log_every_n_steps=1).fit(again)
    tokens = [trial.proposal.tokens for trial in again.journal.ended()]
    assert len(set(tokens)) == len(tokens) == 120
    assert again.seen == set(tokens)


def test_a_search_that_goes_on_does_not_draw_again_what_is_still_being_evaluated(tmp_path):
    other = (0,) * 6
    journal = Journal(tmp_path / "trials.sqlite", str(EDGES))
    waiting = [
        Proposal(number, tokens, (0.0,) * 6, 0, arm)
        for number, (tokens, arm) in enumerate([(BEST, POLICY), (other, RANDOM)])
    ]
    journal.propose(waiting, [to_json(EDGES.decode(proposal.tokens)) for proposal in waiting])
    journal.close()
    search = method("nasnet", tmp_path, redraws=3)
    search.trainer = trainer(tmp_path, 1)
    search.train_dataloader()
    draws = iter([BEST, BEST, other])
    search.draw = lambda number: (next(draws), (0.0,) * 6)
    (proposal,) = search.propose(range(2, 3))
    search.teardown("fit")
    assert proposal.tokens == other  # the random arm has it, the method has not drawn it before


def test_a_policy_that_knows_one_architecture_alone_gives_up_drawing_again(tmp_path):
    search = method("nasnet", tmp_path, redraws=3)
    draws = []
    search.draw = lambda number: draws.append(number) or (BEST, (0.0,) * 6)
    assert [proposal.tokens for proposal in search.propose(range(2))] == [BEST, BEST]
    assert draws == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("nasnet", {"control": 1.0}),
        ("nasnet", {"samples": 0}),
        ("nasnet", {"finalists": -1}),
        ("nasnet", {"finalist_epochs": 0}),
        ("nasnet", {"normalise": True, "batch": 1}),
        ("nasnet", {"ranks": True, "batch": 1}),
        ("nasnet", {"redraws": -1}),
        ("random_search", {"batch": 0}),
    ],
)
def test_numbers_out_of_range_are_refused(name, settings, tmp_path):
    with pytest.raises(InputError, match=f"method.*{next(iter(settings))}"):
        method(name, tmp_path, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nas", "nasnet", "evolution"])
def test_the_planted_architecture_is_found_more_often_than_by_chance(name, tmp_path):
    found = {
        kind: sum(
            searched(kind, tmp_path / f"{kind}{seed}", seed=seed, samples=400)[1].reward == 1
            for seed in range(20)
        )
        for kind in (name, "random_search")
    }
    assert found[name] >= 15
    assert found[name] > found["random_search"]
