"""How many architectures the judge trains from scratch, how often and how long."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.report.statistics import MIN_ARCHITECTURES, MIN_EVALUATIONS


@dataclass(frozen=True)
class Numbers:
    """Numbers of trainings: options of the command, and settings ``judge.*`` of a search.

    Args:
        architectures: Number of uniformly sampled architectures, at least 3.
        sampled: Number of architectures that the controller samples, at least 0.
        seeds: Number of trainings of each architecture, at least 1.
        derived_seeds: Number of trainings of the derived architecture, at least 1. A verdict needs
            at least 5.
        epochs: Number of epochs of a training, at least 1; None = ``evaluation.epochs`` of the
            settings or of the search.
        uniform_epochs: Number of epochs of other shared weights, trained on uniformly sampled
            architectures alone, at least 0; 0 = no such weights.
        batches: Number of training batches for running statistics of batch norm, at least 1. Unused
            if the search tracked running statistics.

    Raises:
        InputError: If a number is out of range.
    """

    architectures: int = 30
    sampled: int = 10
    seeds: int = 1
    derived_seeds: int = MIN_EVALUATIONS
    epochs: int | None = None
    uniform_epochs: int = 0
    batches: int = 500

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = {"architectures": MIN_ARCHITECTURES, "sampled": 0, "uniform_epochs": 0}
            lowest = least.get(name, 1)
            if name == "epochs" and value is None:
                continue
            if type(value) is not int or value < lowest:
                option = name.replace("_", "-")
                raise InputError(
                    f"--{option} (judge.{name}) must be a whole number of at least {lowest}, got "
                    f"{value!r}"
                )

    @property
    def trainings(self) -> int:
        """Number of trainings from scratch."""
        return (self.architectures + self.sampled) * self.seeds + self.derived_seeds


def choose_numbers(recorded: Any, options: Mapping[str, int | None]) -> Numbers:
    """Return the numbers of trainings: the given options, then those that the search recorded.

    Args:
        recorded: Value of ``judge`` in the configuration of the search; None = not set.
        options: Options of the command by name; None = not given.

    Raises:
        InputError: If a number is out of range, or the configuration has an unknown name.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = dict(recorded) if isinstance(recorded, Mapping) else {}
    settings.pop("at_end", None)
    legal = Numbers.__dataclass_fields__
    for name in settings:
        if name not in legal:
            raise InputError(f"judge.{name} is unknown; legal are at_end, {', '.join(legal)}")
    return Numbers(**(settings | given))
