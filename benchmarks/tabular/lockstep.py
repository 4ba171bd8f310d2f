"""Many searches of one method in one process, one seed each, all in lockstep.

A search of 200 queries with a controller takes one or two seconds, nearly all of it the overhead of
small operations. Here the controllers of many seeds are stacked, and torch's ``vmap`` runs the code
of the project (walk over the decisions, advantages, losses) over the whole stack at once. Each
search samples the same architectures in the same order as ``search.py`` with its seed; a test
compares them. Trainer and journal do not influence this and are left out.

Shapes: S = searches, N = trials of a batch, T = tokens, K = options.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import linear

from benchmarks.tabular.record import Record
from benchmarks.tabular.settings import method
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.evaluation.tabular import TabularBenchmark
from lightning_nas.search.controller_search import ControllerSearch
from lightning_nas.search.trial_search import TrialSearch
from lightning_nas.storage.trial import Outcome, Proposal, Trial


def searched(
    cfg: DictConfig, seeds: Sequence[int], queries: int, table: TabularBenchmark
) -> list[Record]:
    """Run the searches of several seeds and return their records."""
    searches = [method(cfg, seed, table) for seed in seeds]
    records = [Record(search, table) for search in searches]
    if isinstance(searches[0], ControllerSearch):
        _learning(records, queries)
    else:
        for record in records:
            _drawing(record, queries)
    return records


def _drawing(record: Record, queries: int) -> None:
    """Run a search that has no controller."""
    search = record.search
    at_once = search.at_once or search.sampling.batch
    for first in range(0, queries, at_once):
        for proposal in search.propose(range(first, min(first + at_once, queries))):
            search.receive(as_trial(proposal, record.query(proposal.tokens)))


def _learning(records: Sequence[Record], queries: int) -> None:
    """Run several searches with controllers in lockstep."""
    searches: list[ControllerSearch] = [record.search for record in records]  # type: ignore[misc]
    policies = Policies(searches)
    batch = records[0].search.sampling.batch
    for first in range(0, queries, batch):
        numbers = range(first, min(first + batch, queries))
        tokens_SNT, log_prob_SN = policies.draw(numbers)
        rewards = [
            [record.query(tuple(tokens)) for tokens in drawn]
            for record, drawn in zip(records, tokens_SNT.tolist(), strict=True)
        ]
        policies.learn(tokens_SNT, log_prob_SN, torch.tensor(rewards))
        for search, drawn, answers in zip(searches, tokens_SNT.tolist(), rewards, strict=True):
            for number, tokens, reward in zip(numbers, drawn, answers, strict=True):
                search.receive(as_trial(Proposal(number, tuple(tokens)), reward))


def as_trial(proposal: Proposal, reward: float) -> Trial:
    """Return the trial of a proposal; here trials end in the order of their numbers."""
    return Trial(proposal, Outcome(reward), reward, proposal.number + 1)


class Policies:
    """The stacked controllers of several searches with the same settings.

    Args:
        searches: One search for each seed.

    Attributes:
        entropy_S: Entropy of the decisions of each controller, in nats, at the last update.
    """

    def __init__(self, searches: Sequence[ControllerSearch]) -> None:
        self.searches = searches
        modules = [_Policy(search) for search in searches]
        self.policy = modules[0]
        self.parameters, self.buffers = stack_module_state(modules)
        make = searches[0].controller.make_optimizer
        self.optimizer = make(list(self.parameters.values()), fused=True)  # type: ignore[call-arg]

    def _call(self, name: str, *batched: Tensor) -> Any:
        def call(parameters: Any, buffers: Any, *given: Tensor) -> Any:
            return functional_call(self.policy, (parameters, buffers), (name, *given))

        return vmap(call)(self.parameters, self.buffers, *batched)

    def draw(self, numbers: range) -> tuple[Tensor, Tensor]:
        """Sample tokens ``(S, N, T)`` and log-probabilities ``(S, N)`` for the given trials."""
        surrogate = self.searches[0].surrogate
        if surrogate is not None and surrogate.is_ready:
            return self._draw_chosen(numbers)
        noise = [[noise_of(search, number) for number in numbers] for search in self.searches]
        rounds = [self._candidates(noise)]
        last = self.searches[0].sampling.redraws
        places_SN = torch.zeros(len(self.searches), len(numbers), dtype=torch.long)  # in rounds
        for s, search in enumerate(self.searches):
            for n in range(len(numbers)):
                for place in range(1 + last):
                    if place == len(rounds):
                        rounds.append(self._candidates(noise))
                    tokens = tuple(rounds[place][0][s, n].tolist())
                    if tokens not in search.seen:
                        break
                search.seen.add(tokens)
                places_SN[s, n] = place
        tokens_RSNT, log_prob_RSN = (torch.stack(each) for each in zip(*rounds, strict=True))
        at = (places_SN, *torch.meshgrid(*map(torch.arange, places_SN.shape), indexing="ij"))
        return tokens_RSNT[at], log_prob_RSN[at]

    @torch.no_grad()
    def _draw_chosen(self, numbers: range) -> tuple[Tensor, Tensor]:
        """Sample candidates for each trial and let the surrogate of each search choose one."""
        count = self.searches[0].sampling.candidates
        rows_S = torch.arange(len(self.searches))
        tokens, log_probs = [], []
        for number in numbers:
            generators = [generator_of(search, number) for search in self.searches]
            uniform_SCT = torch.stack([self._uniform(count // 2, g) for g in generators])
            own = count - count // 2
            noise_SCTK = torch.stack([noise_from(g, self.searches[0], own) for g in generators])
            parts = [
                self._call("draw", noise_SCTK),
                (uniform_SCT, self._call("log_prob", uniform_SCT)),
            ]
            tokens_SCT, log_prob_SC = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
            drawn = zip(self.searches, tokens_SCT.tolist(), generators, strict=True)
            places_S = [choose_place(search, rows, g) for search, rows, g in drawn]
            tokens.append(tokens_SCT[rows_S, places_S])
            log_probs.append(log_prob_SC[rows_S, places_S])
        return torch.stack(tokens, dim=1), torch.stack(log_probs, dim=1)

    def _uniform(self, count: int, generator: torch.Generator) -> Tensor:
        controller = UniformController(self.searches[0].space)
        return controller.sample(count, generator=generator).tokens_NT

    @torch.no_grad()
    def _candidates(self, noise: Sequence[Sequence[Iterator[Tensor]]]) -> tuple[Tensor, Tensor]:
        """Return one more sample for each trial. ``draw`` looks at R such rounds."""
        noise_SNTK = torch.stack([torch.stack([next(n) for n in trials]) for trials in noise])
        tokens_SNT, log_prob_SN = self._call("draw", noise_SNTK)
        return tokens_SNT, log_prob_SN

    def learn(self, tokens_SNT: Tensor, log_prob_SN: Tensor, reward_SN: Tensor) -> None:
        """Update each controller with its batch."""
        with torch.no_grad():
            credit_SN = self._call("credit", reward_SN)
        for _ in range(self.searches[0].passes):
            loss_S, self.entropy_S = self._call("loss", tokens_SNT, log_prob_SN, credit_SN)
            self.optimizer.zero_grad()
            loss_S.sum().backward()  # the weights are separate, and so are the gradients
            self.optimizer.step()


def choose_place(
    search: TrialSearch, rows: Sequence[Sequence[int]], generator: torch.Generator
) -> int:
    """Return the place of the candidate that a search chooses, and note it as seen."""
    assert search.surrogate is not None
    candidates = [tuple(row) for row in rows]
    return candidates.index(search.surrogate.choose_new(candidates, search.seen, generator))


def generator_of(search: TrialSearch, number: int) -> torch.Generator:
    """Return the generator of a trial, in the state that the search gives it."""
    return torch.Generator().manual_seed(search.sampling.choose_arm(number)[1])


def noise_from(generator: torch.Generator, search: TrialSearch, count: int) -> Tensor:
    """Return the exponential noise ``(count, T, K)`` of samples in one pass.

    There is one call for each decision, as in the controller: torch fills longer tensors
    differently.
    """
    options = search.space.count_token_options()
    noise = [torch.empty(count, n).exponential_(generator=generator) for n in options]
    return torch.stack(noise, dim=1)


def noise_of(search: TrialSearch, number: int) -> Iterator[Tensor]:
    """Yield the exponential noise ``(T, K)`` of the samples of a trial, one after another."""
    generator = generator_of(search, number)
    while True:
        yield noise_from(generator, search, 1)[0]


class _Policy(nn.Module):
    """Operations of a search on its controller, as functions of the weights of the controller."""

    def __init__(self, search: ControllerSearch) -> None:
        super().__init__()
        self.search = search
        self.lstm = search.controller.controller
        cells = [_Cell(cell) for cell in self.lstm.lstm]  # type: ignore[union-attr,arg-type]
        self.lstm.lstm = nn.ModuleList(cells)

    def forward(self, name: str, *given: Tensor) -> Any:
        return getattr(self, name)(*given)

    def draw(self, noise_NTK: Tensor) -> tuple[Tensor, Tensor]:
        noise = iter(noise_NTK.unbind(dim=1))
        self.lstm.draw_noise = lambda logits, generator: next(noise)[:, None]
        rollout = self.lstm.sample(len(noise_NTK))
        return rollout.tokens_NT, rollout.log_prob_N

    def log_prob(self, tokens_NT: Tensor) -> Tensor:
        return self.lstm.score(tokens_NT).log_prob_N

    def credit(self, reward_N: Tensor) -> Tensor:
        return self.search.credit(reward_N)

    def loss(self, tokens_NT: Tensor, sampled_N: Tensor, credit_N: Tensor) -> tuple[Tensor, Tensor]:
        loss, metrics = self.search.loss(self.lstm.score(tokens_NT), sampled_N, credit_N)
        return loss, metrics["entropy"]


class _Cell(nn.Module):
    """``nn.LSTMCell`` in elementary operations: torch's ``vmap`` does not support the original."""

    def __init__(self, cell: nn.LSTMCell) -> None:
        super().__init__()
        for name, parameter in cell.named_parameters():
            self.register_parameter(name, parameter)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        hidden, cell = state
        gates = linear(x, self.weight_ih, self.bias_ih)
        gates = gates + linear(hidden, self.weight_hh, self.bias_hh)
        input_gate, forget_gate, new, output_gate = gates.chunk(4, dim=-1)
        cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * new.tanh()
        return output_gate.sigmoid() * cell.tanh(), cell
