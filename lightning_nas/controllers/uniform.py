"""The uniform policy, which learns nothing: for random search and for the random arm.

Shapes: N = architectures, T = tokens of one.
"""

import torch
from torch import Tensor

from lightning_nas.controllers.base import Controller
from lightning_nas.controllers.rollout import Rollout
from lightning_nas.spaces.base import Space


class UniformController(Controller):
    """Controller that samples every token uniformly. It has no parameters.

    Args:
        space: Space whose decisions the controller takes.
    """

    options_T: Tensor

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        options = torch.tensor(list(space.count_token_options()))
        self.register_buffer("options_T", options, persistent=False)

    def sample(
        self, n: int, space: Space | None = None, generator: torch.Generator | None = None
    ) -> Rollout:
        """Sample ``n`` architectures with one call of the generator."""
        options_T = self._options(space)
        shape, device = (n, len(options_T)), options_T.device
        uniform_NT = torch.rand(shape, generator=generator, device=device)
        return self.score((uniform_NT * options_T).long(), space)

    def score(self, tokens_NT: Tensor, space: Space | None = None) -> Rollout:
        """Return the log-probabilities and entropies of given architectures."""
        entropy_NT = self._options(space).float().log().expand(tokens_NT.shape)
        return Rollout(tokens_NT, -entropy_NT, entropy_NT, entropy_NT.new_zeros(len(tokens_NT)))

    def _options(self, space: Space | None) -> Tensor:
        if space is None or space is self.space:
            return self.options_T
        return torch.tensor(list(space.count_token_options()), device=self.options_T.device)
