"""Budgets: rewards that take the cost of a network into account.

Source: Tan et al., 2019, https://arxiv.org/abs/1807.11626, Equation 2.
"""

from collections.abc import Iterable

from lightning_nas.errors import InputError
from lightning_nas.storage.trial import Outcome, Trial

COSTS = ("parameters", "multiply_adds", "latency")


class Budget:
    """Soft target for a cost: the reward is multiplied by ``(value / target) ** exponent``.

    Args:
        cost: ``parameters``, ``multiply_adds`` for one image, or ``latency`` in seconds; None = the
            reward is not changed.
        target: Value of the cost at which the reward is not changed, above 0.
        exponent: Exponent, at most 0. The source uses -0.07: half the cost is worth 5 % of
            accuracy.

    Raises:
        InputError: If an argument is out of range.
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
        """Return the reward of an outcome under this budget; a penalty is not changed.

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


NO_BUDGET = Budget()


def find_least_above(trials: Iterable[Trial], cost: str, target: float) -> float | None:
    """Return the lowest known cost of the trials if it is above the target, else None.

    Args:
        trials: Trials. Those with an error or an unknown cost are ignored.
        cost: One of ``COSTS``.
        target: Target of a budget, above 0.
    """
    costs = [getattr(t.outcome, cost) for t in trials if t.outcome.error is None]
    least = min((one for one in costs if one), default=None)
    return least if least is not None and least > target else None


def pareto_front(trials: Iterable[Trial], cost: str) -> list[Trial]:
    """Return the Pareto front: trials that no other beats in accuracy and cost, cheapest first.

    Args:
        trials: Trials. Those with an error or an unknown cost are ignored.
        cost: One of ``COSTS``. The accuracy is the reward before a budget.
    """
    known = [t for t in trials if t.outcome.error is None and getattr(t.outcome, cost)]
    front: list[Trial] = []
    for trial in sorted(known, key=lambda t: (getattr(t.outcome, cost), -t.outcome.reward)):
        if not front or trial.outcome.reward > front[-1].outcome.reward:
            front.append(trial)
    return front
