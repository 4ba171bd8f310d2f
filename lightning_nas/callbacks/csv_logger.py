"""``metrics.csv``: a row for each time something is logged, kept when a run is resumed."""

import csv
import io
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from lightning_nas.files import replace_text


class MetricsFile(Logger):
    """Writes all that is logged to one file, a column for each name.

    Args:
        path: The file. If it exists, its rows are kept up to the epoch that is logged first, for
            a resumed run begins an epoch that was broken off again.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self.rows: list[dict[str, Any]] = []
        self._resumed = self.path.exists()
        if self._resumed:
            with self.path.open(newline="") as file:
                self.rows = list(csv.DictReader(file))

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def version(self) -> str:
        """There is one."""
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The configuration lies in ``.hydra/config.yaml``."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Note a row; the file is written at the next save."""
        if self._resumed and "epoch" in metrics:
            first = metrics["epoch"]
            self.rows = [row for row in self.rows if float(row["epoch"] or 0) < first]
            self._resumed = False
        self.rows.append({"step": step, **metrics})

    @rank_zero_only
    def save(self) -> None:
        """Write the file, in one step, once there is something to write."""
        if not self.rows:
            return
        names = dict.fromkeys(name for row in self.rows for name in row)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(names), restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        replace_text(self.path, text.getvalue())
