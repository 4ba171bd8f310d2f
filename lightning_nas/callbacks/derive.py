"""The end of a search: choose an architecture and write it, with its picture."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from tqdm import tqdm

from lightning_nas.callbacks.interrupt import StopAtStep
from lightning_nas.errors import InputError
from lightning_nas.report.draw import write_with_pictures
from lightning_nas.report.table import write_tables
from lightning_nas.search.result import SearchResult


class DeriveArchitecture(Callback):
    """When the fit ends, lets the method derive and writes the architecture, pictures, tables.

    Args:
        folder: The run folder.
        samples: Architectures that are sampled and ranked, at least 1; as many uniform ones follow.

    Raises:
        InputError: If ``samples`` is below 1.
    """

    def __init__(self, folder: str | Path, samples: int = 100) -> None:
        super().__init__()
        if samples < 1:
            raise InputError(f"callbacks.derive.samples must be at least 1, got {samples}")
        self.folder = Path(folder)
        self.samples = samples
        self.derived: SearchResult | None = None

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Derive on every process, write on the first.

        A resumed run whose last epoch was over comes here, too, without having trained.
        """
        stops = [call for call in trainer.callbacks if isinstance(call, StopAtStep)]  # type: ignore[attr-defined]

        def progress(items: Iterator[Any], total: int) -> Iterator[Any]:
            shown = trainer.is_global_zero and trainer.progress_bar_callback is not None
            for item in tqdm(items, "Ranking", total, disable=not shown, file=sys.stderr):
                yield item
                for stop in stops:
                    stop.stop_if_asked(trainer)

        pl_module.to(trainer.strategy.root_device)  # Lightning has brought it to the CPU already
        self.derived = pl_module.derive(self.samples, progress)  # type: ignore[operator]
        if trainer.is_global_zero:
            write_with_pictures(self.derived.architecture, self.folder)
            write_tables(self.derived, self.folder)
