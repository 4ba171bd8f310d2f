"""The LSTM controller of all three papers: it walks a space's decisions and writes architectures.

One pass samples a whole batch, or scores given ones. Nothing is read back from the device.
Shapes: N = architectures, T = tokens, H = hidden units, J = earlier nodes, K = options.

Source: Pham et al., 2018, Section 2, and the authors' code; ``enas.md`` lists the differences.
Zoph and Le, 2017, Sections 3.1 and 3.3. Zoph et al., 2018, Section 3 and Appendix A.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.controllers.decision_heads import Attention, ChoiceHead, Squash
from lightning_nas.controllers.rollout import Rollout
from lightning_nas.errors import InputError
from lightning_nas.spaces.base import CellStart, Choice, NodeEnd, Pick, Skips, Space

PICKS = ("attention", "softmax")
SKIPS = ("pair", "sigmoid")
Noise = Callable[[Tensor], Tensor]


def exponential(logits: Tensor) -> Tensor:
    """Return noise of the shape of logits, exponential with mean 1, from torch's own generator."""
    return torch.empty_like(logits).exponential_()


class LSTMController(nn.Module):
    """A policy with an LSTM, a softmax for named choices and attention for earlier nodes.

    Defaults are ENAS's. NAS: two layers of 35 units, biases, independent skips, no bound on logits,
    ``init_range`` 0.08. NASNet: 100 units, biases, softmax picks, no bound.

    Args:
        space: Whose decisions it takes.
        hidden: Hidden units of each layer.
        layers: LSTM layers.
        bias: Whether the LSTM has biases.
        picks: How an earlier node is picked. ``attention``: over the states in which the nodes were
            completed; ``softmax``: by a softmax as wide as there are nodes, like a named choice.
        skips: ``pair``: a skip has the probability sigmoid(2 q) of its attention q, as the released
            ENAS; ``sigmoid``: sigmoid(q), as NAS.
        temperature: Divides all logits. None = 1.
        tanh_constant: Bounds the logits of picks and skips, and of choices. None = no bound.
        choice_tanh_reduce: The bound of choices is ``tanh_constant`` divided by this.
        choice_bias: Initial, trainable bias of a choice's options; None = no bias. The released
            micro search starts from [10, 10, 0, 0, 0].
        first_cell_bias: Constant bias of choices in the first cell; None = none. The released
            micro search has [0.25, 0.25, -0.25, -0.25, -0.25].
        skip_target: Probability of a skip that ``skip_kl`` pulls to, in (0, 1).
        released: Measure entropy and skip divergence as the released macro search does: of the
            sampled token alone, and of half the skip's logit.
        init_range: Weights start uniform in plus or minus this.

    Raises:
        InputError: If a number is out of range.
    """

    def __init__(
        self,
        space: Space,
        hidden: int = 64,
        layers: int = 1,
        bias: bool = False,
        picks: str = "attention",
        skips: str = "pair",
        temperature: float | None = None,
        tanh_constant: float | None = 1.5,
        choice_tanh_reduce: float = 1.0,
        choice_bias: Sequence[float] | None = None,
        first_cell_bias: Sequence[float] | None = None,
        skip_target: float = 0.4,
        released: bool = False,
        init_range: float = 0.1,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise InputError(f"controller.layers must be at least 1, got {layers}")
        for name, value, legal in (("picks", picks, PICKS), ("skips", skips, SKIPS)):
            if value not in legal:
                raise InputError(f"controller.{name} must be {' or '.join(legal)}, got {value!r}")
        if hidden < 1 or not 0 < skip_target < 1:
            raise InputError(
                "controller.hidden must be at least 1 and skip_target inside (0, 1), "
                f"got {hidden} and {skip_target}"
            )
        if released and not any(isinstance(d, Skips) for d in space.decisions):
            raise InputError("controller.released concerns skips alone; this space has none")
        self.space = space
        self.released = released
        self.skip_target = skip_target
        self.paired = skips == "pair"
        self.hidden = hidden
        self.lstm = nn.ModuleList(nn.LSTMCell(hidden, hidden, bias=bias) for _ in range(layers))
        self.start = nn.Parameter(torch.empty(1, hidden))
        choices = {d.name: d.n for d in space.decisions if isinstance(d, Choice)}
        self.heads = nn.ModuleDict({name: ChoiceHead(n, hidden) for name, n in choices.items()})
        widths = {d.n for d in space.decisions if isinstance(d, Pick)} if picks == "softmax" else ()
        self.picks = nn.ModuleDict({str(n): ChoiceHead(n, hidden) for n in sorted(widths)})
        looks = Skips if picks == "softmax" else Pick | Skips
        attends = any(isinstance(d, looks) for d in space.decisions)
        self.attention = Attention(hidden) if attends else None
        choice_bound = None if tanh_constant is None else tanh_constant / choice_tanh_reduce
        self.squash_choice = Squash(temperature, choice_bound)
        self.squash_node = Squash(temperature, tanh_constant)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_range, init_range)
        prior = _bias("choice_bias", choice_bias, choices)
        self.choice_bias = None if prior is None else nn.Parameter(prior)
        self.register_buffer("first_cell_bias", _bias("first_cell_bias", first_cell_bias, choices))

    def sample(self, n: int, space: Space | None = None, noise: Noise = exponential) -> Rollout:
        """Draw ``n`` architectures; gradients flow through their log-probabilities.

        Args:
            n: How many.
            space: One that differs from the controller's in length alone; None = the controller's.
            noise: Makes the exponential noise of each draw, of the shape of the logits given.
        """
        return _Walk(self, space or self.space, n, None, noise).run()

    def score(self, tokens_NT: Tensor, space: Space | None = None) -> Rollout:
        """Return log-probabilities and entropies of given architectures under this policy."""
        return _Walk(self, space or self.space, len(tokens_NT), tokens_NT).run()


def _bias(name: str, bias: Sequence[float] | None, choices: dict[str, int]) -> Tensor | None:
    """Return a bias of the options of every choice as a tensor."""
    if bias is None:
        return None
    for choice, options in choices.items():
        if len(bias) != options:
            raise InputError(f"controller.{name} has {len(bias)} numbers; {choice} has {options}")
    return torch.tensor([float(number) for number in bias])


@dataclass
class _Walk:
    """One pass over the decisions for a batch of architectures."""

    controller: LSTMController
    space: Space
    n: int
    given_NT: Tensor | None
    noise: Noise = exponential
    cell: int = 0
    nodes: list[Tensor] = field(default_factory=list)  # what a pick feeds back
    keys: list[Tensor] = field(default_factory=list)  # what attention compares with
    tokens: list[Tensor] = field(default_factory=list)  # each (N, number of tokens)
    log_probs: list[Tensor] = field(default_factory=list)
    entropies: list[Tensor] = field(default_factory=list)
    divergences: list[Tensor] = field(default_factory=list)

    def run(self) -> Rollout:
        self.input = self.start()
        zeros = torch.zeros_like(self.input)
        self.states = [(zeros, zeros) for _ in self.controller.lstm]
        self.position = 0
        for decision in self.space.decisions:
            match decision:
                case CellStart(inputs):
                    self.start_cell(inputs)
                case NodeEnd():
                    if self.controller.attention is not None:
                        self.end_node(self.step())
                        self.input = self.start()
                case Choice(name, _):
                    self.choose(self.controller.heads[name])  # type: ignore[arg-type]
                case Pick(n):
                    self.pick(n)
                case Skips(count):
                    self.skip(count)
        zero = self.input.new_zeros(self.n)
        kl = torch.stack(self.divergences).mean(dim=0) if self.divergences else zero
        tokens, log_probs, entropies = (
            torch.cat(parts, dim=1) for parts in (self.tokens, self.log_probs, self.entropies)
        )
        return Rollout(tokens, log_probs, entropies, kl)

    def start(self) -> Tensor:
        return self.controller.start.expand(self.n, self.controller.hidden)

    def step(self) -> Tensor:
        hidden = self.input
        for layer, cell in enumerate(self.controller.lstm):
            self.states[layer] = cell(hidden, self.states[layer])
            hidden = self.states[layer][0]
        return hidden

    def start_cell(self, inputs: int) -> None:
        self.cell += 1
        self.nodes, self.keys = [], []
        if self.controller.attention is not None:
            for _ in range(inputs):
                state = self.step()
                self.end_node(state, torch.zeros_like(state))

    def end_node(self, state: Tensor, node: Tensor | None = None) -> None:
        assert self.controller.attention is not None
        self.nodes.append(state if node is None else node)
        self.keys.append(self.controller.attention.key(state))

    def choose(self, head: ChoiceHead) -> None:
        logits = self.controller.squash_choice(self._biased(head(self.step())))
        if self.cell == 1 and self.controller.first_cell_bias is not None:
            logits = logits + self.controller.first_cell_bias
        self.take(head, logits)

    def take(self, head: ChoiceHead, logits: Tensor) -> None:
        self.input = head.embedding(self._draw(logits[:, None]).squeeze(1))

    def _biased(self, logits: Tensor) -> Tensor:
        bias = self.controller.choice_bias
        return logits if bias is None else logits + bias

    def pick(self, n: int) -> None:
        if str(n) in self.controller.picks:
            head: ChoiceHead = self.controller.picks[str(n)]  # type: ignore[assignment]
            self.take(head, self.controller.squash_node(head(self.step())))
            return
        token = self._draw(self._attend(self.step())[:, None])
        nodes = torch.stack(self.nodes, dim=1)
        index = token[:, :, None].expand(-1, -1, nodes.shape[-1])
        self.input = nodes.gather(1, index).squeeze(1)

    def skip(self, count: int) -> None:
        state = self.step()
        if count == 0:
            self.input = self.start()
        else:
            logit = self._attend(state)
            off = -logit if self.controller.paired else torch.zeros_like(logit)
            skips = self._draw(torch.stack([off, logit], dim=-1)).to(logit.dtype)
            nodes = torch.stack(self.nodes, dim=1)
            total = (skips[:, None] @ nodes).squeeze(1)
            self.input = total / (1 + skips.sum(dim=1, keepdim=True))
            self.divergences.append(self._divergence(logit - off))
        self.end_node(state)

    def _attend(self, state: Tensor) -> Tensor:
        assert self.controller.attention is not None
        keys = torch.stack(self.keys, dim=1)
        return self.controller.squash_node(self.controller.attention(keys, state))

    def _divergence(self, skip: Tensor) -> Tensor:
        """KL divergence of the skips' Bernoulli distributions from the target, summed.

        Args:
            skip: Their logits; half of them is what the released ENAS measures.
        """
        target = self.controller.skip_target
        skip = skip / 2 if self.controller.released else skip
        log_on, log_off = F.logsigmoid(skip), F.logsigmoid(-skip)
        goal_on, goal_off = math.log(target), math.log(1 - target)
        return (log_on.exp() * (log_on - goal_on) + log_off.exp() * (log_off - goal_off)).sum(dim=1)

    def _draw(self, logits_NMK: Tensor) -> Tensor:
        """Sample, or take the given, M tokens from K options each, and keep the record."""
        logits = logits_NMK.float()
        log_probs = logits.log_softmax(dim=-1)
        if self.given_NT is None:
            # Gumbel's trick: argmax of logits minus log of exponential noise samples the softmax.
            # Unlike torch.multinomial it does not wait for a GPU.
            tokens = (logits - self.noise(logits).log()).argmax(dim=-1)
        else:
            tokens = self.given_NT[:, self.position : self.position + logits.shape[1]]
        self.position += logits.shape[1]
        chosen = log_probs.gather(-1, tokens[..., None]).squeeze(-1)
        self.tokens.append(tokens)
        self.log_probs.append(chosen)
        if self.controller.released:
            self.entropies.append(-chosen.exp() * chosen)
        else:
            self.entropies.append(-(log_probs.exp() * log_probs).sum(dim=-1))
        return tokens
