"""Costs in the reward.

Source: Tan et al., 2019, https://arxiv.org/abs/1807.11626, Equation 2.
"""

from collections.abc import Iterable

from lightning_nas.errors import InputError
from lightning_nas.storage.trial import Outcome, Trial

COSTS = ("parameters", "multiply_adds", "latency")


class Budget:
    """A soft target for a cost: the reward is multiplied by ``(value / target) ** exponent``.

    Args:
        cost: ``parameters``, ``multiply_adds`` for one image, or ``latency`` in seconds; None = the
            reward stays as it is.
        target: The value at which the reward stays as it is, above 0.
        exponent: At most 0. The source has -0.07: half the cost is worth 5 % of accuracy.

    Raises:
        InputError: If one of them is out of range.
    """

    def __init__(
        self, cost: str | None = None, target: float | None = None, exponent: float = -0.07
    ) -> None:
        if cost is not None and cost not in COSTS:
            raise InputError(f"method.budget.cost must be one of {', '.join(COSTS)}, got {cost!r}")
        if cost is not None and (target is None or target <= 0 or exponent > 0):
            raise InputError(
                "method.budget.target must be above 0 and method.budget.exponent at most 0, "
                f"got {target} and {exponent}"
            )
        self.cost = cost
        self.target = target
        self.exponent = exponent

    def weigh(self, outcome: Outcome) -> float:
        """Return the reward of an outcome within this budget; a penalty stays as it is.

        Raises:
            InputError: If the evaluation does not measure the cost.
        """
        if self.cost is None or outcome.error is not None:
            return outcome.reward
        value = getattr(outcome, self.cost)
        if not value:
            raise InputError(
                f"method.budget.cost={self.cost}: the evaluation does not measure it"
                + (" (evaluation.latency=true does)" if self.cost == "latency" else "")
            )
        return outcome.reward * float(value / self.target) ** self.exponent


def pareto_front(trials: Iterable[Trial], cost: str) -> list[Trial]:
    """Return the trials that no other beats in both accuracy and cost, the cheapest first.

    Args:
        trials: Those with an error, or whose cost is not known, are passed over.
        cost: One of ``COSTS``. Accuracy is the reward before a budget.
    """
    known = [t for t in trials if t.outcome.error is None and getattr(t.outcome, cost)]
    front: list[Trial] = []
    for trial in sorted(known, key=lambda t: (getattr(t.outcome, cost), -t.outcome.reward)):
        if not front or trial.outcome.reward > front[-1].outcome.reward:
            front.append(trial)
    return front
