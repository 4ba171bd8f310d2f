"""NAS, NASNet, random search and evolution on known rewards."""

import math
import random
import statistics
from dataclasses import replace
from functools import partial

import pytest
import torch
from small import trainer

from benchmarks.experiment import experiment
from lightning_nas.architecture import to_json
from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import Budget
from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.methods.evolution import Evolution
from lightning_nas.methods.nas import NAS
from lightning_nas.methods.nasnet import NASNet
from lightning_nas.methods.random_search import RandomSearch
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.run.build import build_search
from lightning_nas.search.controller_search import ControllerSearch
from lightning_nas.search.finalists import Finalists
from lightning_nas.search.growth import Growth
from lightning_nas.search.sampling import Sampling
from lightning_nas.search.trial_search import TrialSearch
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, POLICY, RANDOM, Outcome, Proposal, Trial

EDGES = EdgeCellSpace()
BEST = (3, 1, 4, 0, 2, 3)  # tokens of the planted architecture


class Planted:
    """Evaluator whose reward is the share of decisions that equal the planted architecture's."""

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


class OfSize(Planted):
    """Evaluator whose networks all have the same number of parameters."""

    def __init__(self, parameters):
        super().__init__()
        self.parameters = parameters

    def __call__(self, architecture, seed, poll):
        return replace(super().__call__(architecture, seed, poll), parameters=self.parameters)


class Depth:
    """Evaluator whose reward grows with the depth."""

    def __call__(self, architecture, seed, poll):
        return Outcome(len(architecture.layers) / 100)

    def final(self, epochs):
        return self


def controller(space, lr=0.02, **settings):
    policy = LSTMController(space, hidden=24, bias=True, tanh_constant=None, **settings)
    return ControllerModule(
        policy, MovingAverageBaseline(0.8), partial(torch.optim.Adam, lr=lr), entropy_weight=0.0
    )


def method(name, folder, seed=0, evaluator=None, samples=150, space=EDGES, policy=None, **settings):
    """Return a search; ``settings`` are arguments of the method and of the groups of settings."""
    torch.manual_seed(seed)
    sampling = {"samples": samples, "batch": 10, "seed": seed}
    sampling |= {n: settings.pop(n) for n in SAMPLING if n in settings}
    common = {
        "data": None,
        "evaluation": lambda data: evaluator or Planted(),
        "executor": SerialExecutor,
        "journal": folder / "trials.sqlite",
        "sampling": Sampling(**sampling),
    } | settings
    if name == "nas":
        policy = policy or controller(space, layers=2, skips="sigmoid")
        return NAS(policy, **common)
    if name == "nasnet":
        return NASNet(policy or controller(space, picks="softmax"), **common)
    if name == "evolution":
        return Evolution(**{"population": 20, "tournament": 5, "space": space} | common)
    return RandomSearch(space=space, **common)


def run_search(name, folder, **settings):
    """Return a search after its end, with an open journal, and its result."""
    search = method(name, folder, **settings)
    search.teardown = lambda stage: None
    trainer(folder, -1, log_every_n_steps=1).fit(search)
    result = search.derive(1, lambda items, total, name: items)
    return search, result


def distance(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


def test_nasnet_refuses_settings_that_its_loss_does_not_have(tmp_path):
    policy = controller(EDGES, picks="softmax")
    policy.leave_one_out = True
    with pytest.raises(InputError, match="leave_one_out and skip_kl_weight belong to REINFORCE"):
        method("nasnet", tmp_path, policy=policy)


SAMPLING = ("batch", "budget", "random_share", "redraws", "stratify")
METHODS = ["nas", "nasnet", "random_search", "evolution"]


def test_a_budget_that_no_architecture_meets_is_a_warning(tmp_path, caplog):
    for name, target in (("met", 3.0), ("missed", 1.0)):
        evaluator = OfSize(2)
        budget = Budget("parameters", target)
        run_search("random_search", tmp_path / name, evaluator=evaluator, budget=budget)
        said = [one for one in caplog.messages if "no architecture met method.budget.target" in one]
        assert len(said) == (name == "missed")


@pytest.mark.parametrize("name", METHODS)
def test_a_search_evaluates_all_samples_and_returns_the_best(name, tmp_path):
    search, result = run_search(name, tmp_path, samples=35)
    ended = search.journal.list_ended()
    assert [trial.number for trial in ended] == list(range(35))
    assert search.updates == 4
    assert result.reward == max(trial.reward for trial in ended)
    assert Planted()(result.architecture, 0, None).reward == result.reward


@pytest.mark.parametrize("name", ["nas", "nasnet"])
def test_a_controller_without_parameters_searches_and_learns_nothing(name, tmp_path):
    """Half of the trials have a deeper network than the controller's own space."""
    space = ChainSpace(layers=2)
    policy = ControllerModule(
        UniformController(space), MovingAverageBaseline(0.8), torch.optim.Adam, entropy_weight=0.0
    )
    search, result = run_search(
        name, tmp_path, policy=policy, space=space, evaluator=Depth(), samples=40,
        growth=Growth(20, 1),
    )  # fmt: skip
    assert search.configure_optimizers() is None
    assert search.updates == 4
    ended = search.journal.list_ended()
    assert [len(search.decode(t.proposal).layers) for t in ended] == [2] * 20 + [3] * 20
    for trial in ended:
        options = search.space_of(trial.proposal.tokens).count_token_options()
        assert trial.proposal.log_probs == pytest.approx([-math.log(n) for n in options])
    assert result.reward == 0.03


@pytest.mark.parametrize("name", ["nas", "nasnet", "evolution"])
def test_rewards_rise_during_a_search_that_learns(name, tmp_path):
    _, result = run_search(name, tmp_path, samples=300)
    first, last = result.sampled[:60], result.sampled[-60:]
    assert statistics.fmean(last) > statistics.fmean(first) + 0.2


def test_the_proposals_depend_on_the_seed(tmp_path):
    tokens = [
        [t.proposal for t in run_search("nasnet", tmp_path / f"{i}", seed=seed, samples=30)[0]
         .journal.list_ended()]
        for i, seed in enumerate((1, 1, 2))
    ]  # fmt: skip
    assert tokens[0] == tokens[1] != tokens[2]


def test_proposals_hold_the_log_probabilities_of_their_samples(tmp_path):
    search = method("nasnet", tmp_path, samples=10)
    proposals = search.propose(range(10))
    rollout = search.controller.score([proposal.tokens for proposal in proposals])
    for proposal, log_probs in zip(proposals, rollout.log_prob_NT.tolist(), strict=True):
        assert proposal.log_probs == pytest.approx(log_probs, abs=1e-5)


def test_the_random_arm_is_uniform_and_the_method_does_not_learn_from_it(tmp_path):
    search, result = run_search("nasnet", tmp_path, samples=300, random_share=0.3)
    arms = [trial.proposal.arm for trial in search.journal.list_ended()]
    assert 60 < arms.count(RANDOM) < 120
    assert arms.count(POLICY) + arms.count(RANDOM) == 300
    uniform = [t for t in search.journal.list_ended() if t.proposal.arm == RANDOM]
    assert all(t.proposal.log_probs == pytest.approx([-1.6094] * 6, abs=1e-3) for t in uniform)
    assert statistics.fmean(result.sampled) > statistics.fmean(result.uniform) + 0.1


class Shuffling(SerialExecutor):
    """Executor of four children at once that end in random order."""

    slots = 4
    order = random.Random(1)

    def wait(self, poll):
        self._queue.rotate(self.order.randrange(4))
        return super().wait(poll)


@pytest.mark.parametrize("executor", [SerialExecutor, Shuffling])
def test_the_share_of_the_random_arm_is_exact_after_an_interruption_and_an_extension(
    executor, tmp_path
):
    """The search is stopped, resumed to its end with two finalists, then extended twice."""
    common = {"random_share": 0.1, "stratify": True, "executor": executor}
    consumed = 0
    for samples, finalists in ((33, 0), (50, 2), (77, 3), (150, 0)):
        search = method(
            "nasnet", tmp_path, samples=samples, finalists=Finalists(finalists), **common
        )
        search._consumed, search.teardown = consumed, lambda stage: None
        trainer(tmp_path, -1, log_every_n_steps=1).fit(search)
        consumed = search.stream.consumed
        search.derive(1, lambda items, total, name: items)
        arms = [trial.proposal.arm for trial in search.journal.list_ended()]
        assert arms.count(RANDOM) == round(0.1 * samples)
        assert arms.count(POLICY) == samples - round(0.1 * samples)
        search.journal.close()
    whole, _ = run_search("nasnet", tmp_path / "whole", samples=150, **common)
    arms = [trial.proposal.arm for trial in sorted_by_number(search.journal_path)]
    others = [trial.proposal.arm for trial in sorted_by_number(whole.journal_path)]
    assert [arm for arm in arms if arm != FINALIST] == others


def sorted_by_number(path):
    return sorted(Journal(path, str(EDGES)).list_ended(), key=lambda trial: trial.number)


def test_networks_of_an_extended_search_grow_as_if_there_were_no_finalists(tmp_path):
    space, growth = ChainSpace(layers=1), Growth(10, 1)
    for samples, consumed in ((15, 0), (40, 15)):
        search = method(
            "random_search", tmp_path, space=space, evaluator=Depth(), samples=samples,
            growth=growth, finalists=Finalists(4),
        )  # fmt: skip
        search._consumed, search.teardown = consumed, lambda stage: None
        trainer(tmp_path, -1, log_every_n_steps=1).fit(search)
        search.derive(1, lambda items, total, name: items)
    trials = [t for t in search.journal.list_ended() if t.proposal.arm == POLICY]
    assert [len(search.decode(t.proposal).layers) for t in trials] == [
        1 + place // 10 for place in range(40)
    ]


def test_finalists_are_the_best_trials_and_the_best_finalist_is_chosen(tmp_path):
    evaluator = Planted()
    search, result = run_search(
        "evolution", tmp_path, evaluator=evaluator, finalists=Finalists(3, 7), samples=60
    )
    best = search.journal.best((POLICY,), 3)
    assert [architecture for architecture, _ in evaluator.finals] == [
        search.decode(trial.proposal) for trial in best
    ]
    assert {epochs for _, epochs in evaluator.finals} == {7}
    finalists = search.journal.best((FINALIST,), 9)
    assert len(finalists) == 3
    assert result.reward == pytest.approx(0.28)  # the last was the best
    assert result.architecture == evaluator.finals[-1][0]


def test_interrupted_finalists_are_trained_for_their_full_length(tmp_path):
    class Interrupting(Planted):
        def final(self, epochs):
            def longer(architecture, seed, poll):
                if self.finals:
                    raise KeyboardInterrupt
                self.finals.append((architecture, epochs))
                return Outcome(0.9)

            return longer

    settings = {"samples": 30, "finalists": Finalists(3)}
    first = method("random_search", tmp_path, evaluator=Interrupting(), **settings)
    first.teardown = lambda stage: None
    trainer(tmp_path, -1, log_every_n_steps=1).fit(first)
    with pytest.raises(KeyboardInterrupt):
        first.derive(1, lambda items, total, name: items)
    first.journal.close()
    evaluator = Planted()
    search, result = run_search("random_search", tmp_path, evaluator=evaluator, **settings)
    best = [search.decode(t.proposal) for t in search.journal.best((POLICY,), 3)]
    assert [architecture for architecture, _ in evaluator.finals] == best[1:]
    rewards = [trial.reward for trial in search.journal.best((FINALIST,), 9)]
    assert rewards == pytest.approx([0.9, 0.27, 0.26])
    assert result.architecture == best[0]


def test_a_search_extended_after_its_finalists_has_new_finalists(tmp_path):
    first, _ = run_search("random_search", tmp_path, samples=20, finalists=Finalists(2))
    first.journal.close()
    again = method("random_search", tmp_path, samples=150, finalists=Finalists(2))
    again.teardown = lambda stage: None
    again._consumed = 20  # as in the checkpoint of the first search
    trainer(tmp_path, -1, log_every_n_steps=1).fit(again)
    result = again.derive(1, lambda items, total, name: items)
    trials = again.journal.list_ended()
    assert sum(trial.proposal.arm == POLICY for trial in trials) == 150
    best = {trial.proposal.tokens for trial in again.journal.best((POLICY,), 2)}
    assert {again.space.encode(ranked.architecture) for ranked in result.top} == best


def test_an_error_is_raised_if_all_finalists_fail(tmp_path):
    class Failing(Planted):
        def final(self, epochs):
            return lambda architecture, seed, poll: Outcome(0.0, error="out of memory")

    with pytest.raises(InputError, match="all 2 finalists failed, the first: out of memory"):
        run_search(
            "random_search", tmp_path, evaluator=Failing(), samples=20, finalists=Finalists(2)
        )


@pytest.mark.parametrize("name", ["nas", "random_search", "evolution"])
def test_networks_grow_by_two_layers_every_1600_trials(name, tmp_path):
    space = ChainSpace(layers=6)
    search = method(name, tmp_path, space=space, samples=12_800, growth=Growth(1600))
    depths = {number: search.space_at(number).layers for number in (0, 1599, 1600, 12_799)}
    assert depths == {0: 6, 1599: 6, 1600: 8, 12_799: 20}


def test_nas_learns_from_a_batch_of_networks_of_several_depths(tmp_path):
    space = ChainSpace(layers=2)
    search, _ = run_search(
        "nas", tmp_path, space=space, evaluator=Depth(), samples=30, growth=Growth(7, 1)
    )
    layers = [len(search.decode(t.proposal).layers) for t in search.journal.list_ended()]
    assert layers == [2 + number // 7 for number in range(30)]
    trials = search.journal.list_ended()[:20]
    rollout = search.controller.score(
        [t.proposal.tokens for t in trials], [search.space_of(t.proposal.tokens) for t in trials]
    )
    for place, trial in enumerate(trials):
        alone = search.controller.score(
            [trial.proposal.tokens], [search.space_of(trial.proposal.tokens)]
        )
        assert rollout.log_prob_N[place].item() == pytest.approx(alone.log_prob_N.item(), abs=1e-4)


def test_evolution_adds_new_layers_to_a_parent_from_a_smaller_space(tmp_path):
    search, _ = run_search(
        "evolution", tmp_path, space=ChainSpace(layers=1), evaluator=Depth(), samples=60,
        growth=Growth(30, 2),
    )  # fmt: skip
    tokens = [trial.proposal.tokens for trial in search.journal.list_ended()]
    assert [len(search.space_of(t).decode(t).layers) for t in tokens] == [1] * 30 + [3] * 30
    one = len(tokens[0])
    inherited = tokens[30][:one]
    # 0 if the mutated decision is in a new layer
    assert min(distance(inherited, parent) for parent in tokens[10:30]) <= 1


def test_the_initial_population_of_evolution_has_no_architecture_of_the_random_arm(tmp_path):
    search, _ = run_search(
        "evolution", tmp_path, samples=90, random_share=0.4, stratify=True, population=30
    )
    trials = search.journal.list_ended()
    own = [t.proposal.tokens for t in trials if t.proposal.arm == POLICY]
    uniform = search.sample_uniformly
    calls = []
    search.sample_uniformly = lambda number: calls.append(number) or uniform(number)
    search.living.clear()
    for trial in trials:
        search.sample(trial.number)
        if trial.proposal.arm == POLICY:
            search.observe(trial)
    initial = [t for t in trials if t.number in calls and t.proposal.arm == POLICY]
    assert [t.proposal.tokens for t in initial] == own[:30]
    for place in range(30, len(own)):  # later ones are mutations of living ones
        assert 1 in [distance(own[place], other) for other in own[place - 30 : place]]


@pytest.mark.parametrize("with_replacement", [True, False])
def test_a_tournament_is_drawn_with_replacement_as_in_the_paper(with_replacement, tmp_path):
    """Of 4 architectures, 4 draws with replacement miss the best with probability (3/4)^4."""
    search = method(
        "evolution", tmp_path, population=4, tournament=4, with_replacement=with_replacement
    )
    for number in range(4):
        proposal = Proposal(number, (number,) * 6)
        search.observe(Trial(proposal, Outcome(number / 10), number / 10, number + 1))
    torch.manual_seed(0)
    parents = [max(search._draw_candidates()) for _ in range(2000)]
    missed = sum(parent < 3 for parent in parents) / len(parents)
    assert missed == (pytest.approx(0.75**4, abs=0.04) if with_replacement else 0)


def test_evolution_keeps_the_rules_of_a_run_whose_configuration_lacks_them(tmp_path):
    cfg = experiment(["experiment=nas_cifar", "method=evolution"], tmp_path).method
    new = build_search(cfg, None, evaluation=lambda data: Depth())
    assert (new.with_replacement, new.sampling.stratify) == (True, True)
    del cfg.with_replacement, cfg.stratify_control
    old = build_search(cfg, None, evaluation=lambda data: Depth())
    assert (old.with_replacement, old.sampling.stratify) == (False, False)


@pytest.mark.parametrize("name", ["random_search", "evolution"])
def test_other_methods_search_growing_networks_too(name, tmp_path):
    cfg = experiment(["experiment=nas_cifar", f"method={name}"], tmp_path).method
    search = build_search(cfg, None, evaluation=lambda data: Depth())
    assert (search.space_at(0).layers, search.space_at(12_799).layers) == (6, 20)


def test_only_the_chain_space_can_grow(tmp_path):
    with pytest.raises(InputError, match="only the chain space"):
        method("nas", tmp_path, growth=Growth(10))


def test_tokens_of_a_deeper_network_than_the_search_has_are_refused(tmp_path):
    search = method("random_search", tmp_path, space=ChainSpace(layers=2))
    with pytest.raises(InputError, match=r"of 12 decisions, but no space .*grow_every=None"):
        search.space_of((0,) * ChainSpace(layers=3).length)


def test_evolution_changes_one_decision_of_a_living_architecture(tmp_path):
    search, _ = run_search("evolution", tmp_path, samples=80)
    tokens = [trial.proposal.tokens for trial in search.journal.list_ended()]
    for number in range(20, 80):
        living = tokens[number - 20 : number]
        assert 1 in [distance(tokens[number], other) for other in living]


def test_redraws_avoid_all_repetitions_after_resuming_too(tmp_path):
    first, _ = run_search("nasnet", tmp_path, samples=30, redraws=200)
    first.journal.close()
    again = method("nasnet", tmp_path, samples=120, redraws=200)
    again.teardown = lambda stage: None
    again._consumed = 30
    trainer(tmp_path, -1, log_every_n_steps=1).fit(again)
    tokens = [trial.proposal.tokens for trial in again.journal.list_ended()]
    assert len(set(tokens)) == len(tokens) == 120
    assert again.seen == set(tokens)


def test_a_resumed_search_does_not_sample_an_open_proposal_again(tmp_path):
    other = (0,) * 6
    journal = Journal(tmp_path / "trials.sqlite", str(EDGES))
    waiting = [
        Proposal(number, tokens, (0.0,) * 6, 0, arm)
        for number, (tokens, arm) in enumerate([(BEST, POLICY), (other, RANDOM)])
    ]
    journal.propose(waiting, [to_json(EDGES.decode(proposal.tokens)) for proposal in waiting])
    journal.close()
    search = method("random_search", tmp_path, redraws=3)
    search.trainer = trainer(tmp_path, 1)
    search.train_dataloader()
    samples = iter([BEST, BEST, other])
    search.sample = lambda number: (next(samples), (0.0,) * 6)
    (proposal,) = search.propose(range(2, 3))
    search.teardown("fit")
    assert proposal.tokens == other  # only the random arm has sampled it


@pytest.mark.parametrize("redraws", [1, 60])
def test_redraws_in_one_pass_give_what_redraws_one_by_one_give(redraws, tmp_path, monkeypatch):
    def propose(folder):
        search = method("nasnet", tmp_path / folder, redraws=redraws)
        with torch.no_grad():
            for head in search.controller.controller.heads.values():
                head.weight.weight.zero_()[:2] += 0.3  # nearly converged: many repetitions
        return [(p.tokens, p.log_probs) for p in search.propose(range(60))]

    at_once = propose("at once")
    monkeypatch.setattr(ControllerSearch, "sample_new", TrialSearch.sample_new)
    assert at_once == propose("one by one")


def test_redraws_end_if_a_method_always_samples_the_same_architecture(tmp_path):
    search = method("random_search", tmp_path, redraws=3)
    numbers = []
    search.sample = lambda number: numbers.append(number) or (BEST, (0.0,) * 6)
    assert [proposal.tokens for proposal in search.propose(range(2))] == [BEST, BEST]
    assert numbers == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("nasnet", {"random_share": 1.0}),
        ("nasnet", {"samples": 0}),
        ("nasnet", {"normalise": True, "batch": 1}),
        ("nasnet", {"ranks": True, "batch": 1}),
        ("nasnet", {"redraws": -1}),
        ("random_search", {"batch": 0}),
    ],
)
def test_numbers_out_of_range_are_refused(name, settings, tmp_path):
    setting = next(iter(settings)).replace("random_share", "control")
    with pytest.raises(InputError, match=f"method.*{setting}"):
        method(name, tmp_path, **settings)


@pytest.mark.parametrize(
    ("group", "settings", "setting"),
    [
        (Finalists, {"count": -1}, "finalists"),
        (Finalists, {"epochs": 0}, "finalist_epochs"),
        (Finalists, {"seeds": 0}, "finalist_seeds"),
        (Growth, {"every": 0}, "grow_every"),
        (Growth, {"every": 1, "by": -1}, "grow_by"),
    ],
)
def test_settings_out_of_range_are_refused_by_their_group(group, settings, setting):
    with pytest.raises(InputError, match=f"method.*{setting}"):
        group(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nas", "nasnet", "evolution"])
def test_the_planted_architecture_is_found_more_often_than_by_random_search(name, tmp_path):
    found = {
        kind: sum(
            run_search(kind, tmp_path / f"{kind}{seed}", seed=seed, samples=400)[1].reward == 1
            for seed in range(20)
        )
        for kind in (name, "random_search")
    }
    assert found[name] >= 15
    assert found[name] > found["random_search"]


def test_a_resume_to_fewer_trials_says_that_nothing_is_left_to_do(tmp_path, caplog):
    run_search("random_search", tmp_path, samples=20)
    run_search("random_search", tmp_path, samples=10)
    assert "the run has 20 trials already: method.samples=10 adds none" in caplog.text
