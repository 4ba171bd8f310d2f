"""The LSTM controller of NAS, NASNet and ENAS.

One pass over the decisions of a space samples or scores a whole batch of architectures. The pass
never waits for the device. Shapes: N = architectures, T = tokens, H = hidden units, J = earlier
nodes, K = options, M = tokens of one decision.

Sources: Pham et al., 2018, Section 2, and the released code (``enas.md`` lists the differences);
Zoph and Le, 2017, Sections 3.1 and 3.3; Zoph et al., 2018, Section 3 and Appendix A.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.controllers.base import Controller
from lightning_nas.controllers.decision_heads import (
    Attention,
    ChoiceHead,
    list_logit_shapes,
    make_bias,
    squash,
)
from lightning_nas.controllers.rollout import Rollout, measure
from lightning_nas.errors import InputError
from lightning_nas.spaces.base import CellStart, Choice, NodeEnd, Pick, Skips, Space

PICKS = ("attention", "softmax")
SKIPS = ("pair", "sigmoid")


class LSTMController(Controller):
    """Controller with an LSTM, a softmax over named options and attention over earlier nodes.

    The defaults are for ENAS. For NAS: ``hidden=35``, ``layers=2``, ``bias=True``,
    ``skips="sigmoid"``, ``tanh_constant=None``, ``init_range=0.08``. For NASNet: ``hidden=100``,
    ``bias=True``, ``picks="softmax"``, ``tanh_constant=None``.

    Args:
        space: Space whose decisions the controller takes.
        hidden: Number of hidden units of each LSTM layer, at least 1.
        layers: Number of LSTM layers, at least 1.
        bias: Whether the LSTM has biases.
        picks: How to pick an earlier node. ``attention``: attention over the states of the earlier
            nodes. ``softmax``: a softmax over the numbers of the nodes, as for named options.
        skips: Probability of a skip whose attention logit is q. ``pair``: sigmoid(2 q), as in the
            released ENAS. ``sigmoid``: sigmoid(q), as in NAS.
        temperature: Divisor of all logits; None = 1.
        tanh_constant: Bound of the logits; None = no bound.
        choice_tanh_reduce: Divisor of the bound for named options.
        choice_bias: Initial values of a trainable bias of the logits of named options, one number
            for each option; None = no bias. The released micro search: [10, 10, 0, 0, 0].
        first_cell_bias: Constant bias of the bounded logits of named options in the first cell, one
            number for each option; None = no bias. The released micro search:
            [0.25, 0.25, -0.25, -0.25, -0.25].
        skip_target: Probability of a skip at which the skip divergence is 0, in (0, 1).
        released: Whether to measure entropy and skip divergence as in the released macro search:
            the entropy from the sampled token only, the divergence from half the logit of a skip.
        init_range: Bound of the initial weights, which are uniform in [-init_range, init_range].

    Raises:
        InputError: If a setting is out of range.
    """

    first_cell_bias: Tensor | None

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
        super().__init__(space)
        if layers < 1:
            raise InputError(f"controller.layers must be at least 1, got {layers}")
        for name, value, legal in (("picks", picks, PICKS), ("skips", skips, SKIPS)):
            if value not in legal:
                raise InputError(f"controller.{name} must be {' or '.join(legal)}, got {value!r}")
        if hidden < 1 or not 0 < skip_target < 1:
            raise InputError(
                "controller.hidden must be at least 1 and controller.skip_target inside (0, 1), "
                f"got {hidden} and {skip_target}"
            )
        if released and not any(isinstance(d, Skips) for d in space.decisions):
            raise InputError(
                "controller.released=true needs a space with skips, such as space=macro"
            )
        self.released = released
        self.skip_target = skip_target
        self.has_paired_skips = skips == "pair"
        self.hidden = hidden
        self.lstm = nn.ModuleList(nn.LSTMCell(hidden, hidden, bias=bias) for _ in range(layers))
        self.start = nn.Parameter(torch.empty(1, hidden))
        choices = {d.name: d.n for d in space.decisions if isinstance(d, Choice)}
        self.heads = nn.ModuleDict({name: ChoiceHead(n, hidden) for name, n in choices.items()})
        widths = {d.n for d in space.decisions if isinstance(d, Pick)} if picks == "softmax" else ()
        self.picks = nn.ModuleDict({str(n): ChoiceHead(n, hidden) for n in sorted(widths)})
        attention_kinds = Skips if picks == "softmax" else Pick | Skips
        needs_attention = any(isinstance(d, attention_kinds) for d in space.decisions)
        self.attention = Attention(hidden) if needs_attention else None
        self.temperature = temperature
        self.node_bound = tanh_constant
        self.choice_bound = None if tanh_constant is None else tanh_constant / choice_tanh_reduce
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_range, init_range)
        prior = make_bias("choice_bias", choice_bias, choices)
        self.choice_bias = None if prior is None else nn.Parameter(prior)
        first_bias = make_bias("first_cell_bias", first_cell_bias, choices)
        self.register_buffer("first_cell_bias", first_bias)

    def sample(
        self, n: int, space: Space | None = None, generator: torch.Generator | None = None
    ) -> Rollout:
        """Sample ``n`` architectures."""
        draw_noise = partial(self.draw_noise, generator=generator)
        return _Pass(self, space or self.space, n, draw_noise=draw_noise).run()

    def score(self, tokens_NT: Tensor, space: Space | None = None) -> Rollout:
        """Return the log-probabilities and entropies of given architectures."""
        return _Pass(self, space or self.space, len(tokens_NT), tokens_NT).run()

    def sample_in_turn(self, n: int, space: Space | None = None) -> Rollout:
        """Sample the architectures of ``n`` calls of ``sample(1)`` in one pass."""
        space = space or self.space
        logits = [
            torch.empty(1, *shape, device=self.start.device) for shape in list_logit_shapes(space)
        ]
        rows = [list(map(self.draw_noise, logits)) for _ in range(n)]  # in the order of the calls
        noise = map(torch.cat, zip(*rows, strict=True))
        return _Pass(self, space, n, draw_noise=lambda _: next(noise)).run()

    def draw_noise(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return exponential noise with mean 1 and the shape of the logits."""
        return torch.empty_like(logits).exponential_(generator=generator)


@dataclass
class _Pass:
    """One pass over the decisions of a space, for a batch of architectures."""

    controller: LSTMController
    space: Space
    n: int  # number of architectures
    tokens_to_score_NT: Tensor | None = None  # None = sample
    draw_noise: Callable[[Tensor], Tensor] | None = None  # noise for logits (N, M, K)
    cell_number: int = 0  # 1 for the first cell
    nodes: list[Tensor] = field(default_factory=list)  # LSTM input after a pick of the node, (N, H)
    keys: list[Tensor] = field(default_factory=list)  # attention key of each node, (N, H)
    logits: list[Tensor] = field(default_factory=list)  # of each decision, (N, M, K)
    tokens: list[Tensor] = field(default_factory=list)  # of each decision, (N, M)
    divergences: list[Tensor] = field(default_factory=list)

    def run(self) -> Rollout:
        self.input = self.start_input()
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
                        self.input = self.start_input()
                case Choice(name, _):
                    self.take_choice(self.controller.heads[name])  # type: ignore[arg-type]
                case Pick(n):
                    self.take_pick(n)
                case Skips(count):
                    self.take_skips(count)
        zero = self.input.new_zeros(self.n)
        kl = torch.stack(self.divergences).mean(dim=0) if self.divergences else zero
        log_probs, entropies = measure(self.logits, self.tokens, self.controller.released)
        return Rollout(torch.cat(self.tokens, dim=1), log_probs, entropies, kl)

    def start_input(self) -> Tensor:
        return self.controller.start.expand(self.n, self.controller.hidden)

    def step(self) -> Tensor:
        hidden = self.input
        for layer, lstm_cell in enumerate(self.controller.lstm):
            self.states[layer] = lstm_cell(hidden, self.states[layer])
            hidden = self.states[layer][0]
        return hidden

    def start_cell(self, inputs: int) -> None:
        self.cell_number += 1
        self.nodes, self.keys = [], []
        if self.controller.attention is not None:
            for _ in range(inputs):
                state = self.step()
                self.end_node(state, torch.zeros_like(state))

    def end_node(self, state: Tensor, node: Tensor | None = None) -> None:
        """Add a node that later decisions can pick. The default of ``node`` is ``state``."""
        assert self.controller.attention is not None
        self.nodes.append(state if node is None else node)
        self.keys.append(self.controller.attention.key(state))

    def take_choice(self, head: ChoiceHead) -> None:
        logits = head(self.step())
        if self.controller.choice_bias is not None:
            logits = logits + self.controller.choice_bias
        logits = squash(logits, self.controller.temperature, self.controller.choice_bound)
        if self.cell_number == 1 and self.controller.first_cell_bias is not None:
            logits = logits + self.controller.first_cell_bias
        self.feed_back(head, logits)

    def feed_back(self, head: ChoiceHead, logits: Tensor) -> None:
        """Take one token. The embedding of the token is the next input of the LSTM."""
        self.input = head.embedding(self._take_tokens(logits[:, None]).squeeze(1))

    def take_pick(self, n: int) -> None:
        if str(n) in self.controller.picks:
            head: ChoiceHead = self.controller.picks[str(n)]  # type: ignore[assignment]
            self.feed_back(head, self._squash_node(head(self.step())))
            return
        token = self._take_tokens(self._attend(self.step())[:, None])
        nodes = torch.stack(self.nodes, dim=1)
        index = token[:, :, None].expand(-1, -1, nodes.shape[-1])
        self.input = nodes.gather(1, index).squeeze(1)

    def take_skips(self, count: int) -> None:
        state = self.step()
        if count == 0:
            self.input = self.start_input()
        else:
            logit = self._attend(state)
            logit_off = -logit if self.controller.has_paired_skips else torch.zeros_like(logit)
            skips = self._take_tokens(torch.stack([logit_off, logit], dim=-1)).to(logit.dtype)
            nodes = torch.stack(self.nodes, dim=1)
            total = (skips[:, None] @ nodes).squeeze(1)
            self.input = total / (1 + skips.sum(dim=1, keepdim=True))
            self.divergences.append(self._measure_divergence(logit - logit_off))
        self.end_node(state)

    def _attend(self, state: Tensor) -> Tensor:
        assert self.controller.attention is not None
        keys = torch.stack(self.keys, dim=1)
        return self._squash_node(self.controller.attention(keys, state))

    def _squash_node(self, logits: Tensor) -> Tensor:
        return squash(logits, self.controller.temperature, self.controller.node_bound)

    def _measure_divergence(self, logit_NJ: Tensor) -> Tensor:
        """Return the KL divergence of the skips from the target, summed over the skips, ``(N,)``.

        Args:
            logit_NJ: Logits of the skips. The released ENAS uses half of each logit.
        """
        target = self.controller.skip_target
        logit_NJ = logit_NJ / 2 if self.controller.released else logit_NJ
        log_on, log_off = F.logsigmoid(logit_NJ), F.logsigmoid(-logit_NJ)
        goal_on, goal_off = math.log(target), math.log(1 - target)
        return (log_on.exp() * (log_on - goal_on) + log_off.exp() * (log_off - goal_off)).sum(dim=1)

    def _take_tokens(self, logits_NMK: Tensor) -> Tensor:
        """Sample the M tokens of a decision, or take the tokens to score. Record the tokens."""
        logits = logits_NMK.float()
        if self.tokens_to_score_NT is None:
            # Gumbel's trick: the argmax of (logits - log of exponential noise) is a sample of the
            # softmax. torch.multinomial would wait for the GPU.
            assert self.draw_noise is not None
            noise = self.draw_noise(logits)
            tokens = (logits - noise.log()).argmax(dim=-1)
        else:
            tokens = self.tokens_to_score_NT[:, self.position : self.position + logits.shape[1]]
        self.position += logits.shape[1]
        self.logits.append(logits)
        self.tokens.append(tokens)
        return tokens
