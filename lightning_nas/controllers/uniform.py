"""The policy that learns nothing: every decision uniform. Random search, with or without sharing.

Shapes: N = architectures, T = tokens.
"""

import torch
from torch import Tensor, nn

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.spaces.base import Space


class UniformController(nn.Module):
    """Draws every token uniformly. It has no parameters.

    Args:
        space: Whose decisions it takes.
    """

    options_T: Tensor

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        options = torch.tensor(list(space.token_options()))
        self.register_buffer("options_T", options, persistent=False)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Rollout:
        """Draw ``n`` architectures, by torch's own random numbers where there is no generator."""
        shape, device = (n, len(self.options_T)), self.options_T.device
        uniform = torch.rand(shape, generator=generator, device=device)
        return self.score((uniform * self.options_T).long())

    def score(self, tokens_NT: Tensor) -> Rollout:
        """Return the log-probabilities and entropies of given architectures."""
        entropy = self.options_T.float().log().expand(tokens_NT.shape)
        return Rollout(tokens_NT, -entropy, entropy, entropy.new_zeros(len(tokens_NT)))
