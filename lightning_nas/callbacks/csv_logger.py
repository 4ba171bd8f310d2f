"""``metrics.csv``: one row for each time that metrics are logged. Rows are kept on resume."""

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from lightning_nas.errors import InputError
from lightning_nas.files import read_csv, write_csv


class MetricsFile(Logger):
    """Logger that writes all metrics to one CSV file, one column per metric.

    Args:
        path: The file. If it exists, the rows of earlier epochs are kept. Rows from the first epoch
            that is logged on are dropped: a resumed run repeats an epoch that was interrupted.

    Raises:
        InputError: If the existing file is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self.is_resumed = self.path.exists()
        self.rows: list[dict[str, Any]] = list(read_csv(self.path)) if self.is_resumed else []
        try:
            self._epochs = [float(row["epoch"] or 0) for row in self.rows]
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{self.path}: damaged: a row has no epoch") from None

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    @property
    def version(self) -> str:
        """Empty: there is only one version."""
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the configuration is in ``.hydra/config.yaml``."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row. The file is written by the next ``save``."""
        if self.is_resumed and "epoch" in metrics:
            earlier = zip(self.rows, self._epochs, strict=True)
            self.rows = [row for row, epoch in earlier if epoch < metrics["epoch"]]
            self.is_resumed = False
        self.rows.append({"step": step, **metrics})

    @rank_zero_only
    def save(self) -> None:
        """Write the file in one step, if there are any rows."""
        if self.rows:
            names = dict.fromkeys(name for row in self.rows for name in row)
            write_csv(self.path, list(names), self.rows)
