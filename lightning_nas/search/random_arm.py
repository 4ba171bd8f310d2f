"""ENAS's random arm: uniformly drawn architectures, scored as the controller's are.

They share the weights with the controller's samples of the epoch, and the images with those of its
first steps: as many as the arm has, a tenth where nothing else is asked for. What differs beyond
the luck of the images is the controller's doing. No random number of the search is used up by them.
"""

import math

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.rollout import Rollout
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.data.seeding import seeded_generator
from lightning_nas.spaces.base import Space

SHARE = 0.1  # of the controller's steps, where nothing else is asked for


def count_random_steps(controller_steps: int, asked: int | None) -> int:
    """Return the arm's steps in an epoch; none where no controller learns.

    Args:
        controller_steps: Of an epoch.
        asked: What the user wants; None = a tenth of the controller's, at least one.

    >>> control_steps_of(30, None), control_steps_of(2, None), control_steps_of(0, None)
    (3, 1, 0)
    >>> control_steps_of(30, 0), control_steps_of(0, 5)
    (0, 0)
    """
    if not controller_steps:
        return 0
    return math.ceil(SHARE * controller_steps) if asked is None else asked


class RandomArm:
    """Draws uniformly, on the CPU: what is drawn depends on seed, epoch, step and process alone.

    Args:
        space: Where architectures come from.
        samples: Architectures a step and process.
        seed: Of all draws.
    """

    def __init__(self, space: Space, samples: int, seed: int) -> None:
        self.uniform = UniformController(space)
        self.samples = samples
        self.seed = seed

    def sample(self, epoch: int, step: int, rank: int) -> tuple[Rollout, list[Architecture]]:
        """Draw the architectures of one step."""
        generator = seeded_generator("control", self.seed, epoch, step, rank)
        rollout = self.uniform.sample(self.samples, generator=generator)
        space = self.uniform.space
        return rollout, [space.decode(tokens) for tokens in rollout.tokens_NT.tolist()]
