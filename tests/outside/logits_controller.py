"""A controller from outside of the package: independent logits for each token."""

import torch
from torch import Tensor, nn

from lightning_nas.controllers.base import Controller
from lightning_nas.controllers.rollout import Rollout
from lightning_nas.spaces.base import Space


class LogitsController(Controller):
    """Controller whose decisions do not depend on one another.

    Args:
        space: Space whose decisions the controller takes.
        longest: Number of tokens to learn logits for. Later tokens of a space that grows stay
            uniform.
    """

    def __init__(self, space: Space, longest: int = 64) -> None:
        super().__init__(space)
        widest = max(space.count_token_options())
        self.logits_TK = nn.Parameter(torch.zeros(longest, widest))

    def sample(
        self, n: int, space: Space | None = None, generator: torch.Generator | None = None
    ) -> Rollout:
        """Sample ``n`` architectures."""
        probability_TK = self._log_probs(space).exp()
        tokens_TN = probability_TK.multinomial(n, replacement=True, generator=generator)
        return self.score(tokens_TN.mT, space)

    def score(self, tokens_NT: Tensor, space: Space | None = None) -> Rollout:
        """Return the log-probabilities and entropies of given architectures."""
        log_TK = self._log_probs(space)
        log_prob_NT = log_TK.gather(1, tokens_NT.mT).mT
        entropy_T = -(log_TK.exp() * log_TK.clamp(min=-100)).sum(dim=1)
        no_skip_kl_N = log_prob_NT.new_zeros(len(tokens_NT))
        return Rollout(tokens_NT, log_prob_NT, entropy_T.expand_as(log_prob_NT), no_skip_kl_N)

    def _log_probs(self, space: Space | None) -> Tensor:
        options = torch.tensor(list((space or self.space).count_token_options()))[:, None]
        widest = self.logits_TK.shape[1]
        missing = max(0, len(options) - len(self.logits_TK))
        logits_TK = nn.functional.pad(self.logits_TK, (0, 0, 0, missing))[: len(options)]
        is_illegal = torch.arange(widest) >= options
        return logits_TK.masked_fill(is_illegal.to(logits_TK.device), -1e9).log_softmax(dim=1)
