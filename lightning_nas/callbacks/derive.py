"""The end of a search: choose an architecture and write it with its pictures and tables."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from tqdm import tqdm

from lightning_nas.errors import InputError
from lightning_nas.report.draw import write_with_pictures
from lightning_nas.report.table import write_tables
from lightning_nas.search.base import Search


class DeriveArchitecture(Callback):
    """Callback that derives the architecture when the fit ends; the search keeps the result.

    Args:
        folder: Run folder.
        samples: Number of architectures to sample and rank, at least 1; the random arm has as many.

    Raises:
        InputError: If ``samples`` is below 1.
    """

    def __init__(self, folder: str | Path, samples: int = 100) -> None:
        super().__init__()
        if samples < 1:
            raise InputError(f"callbacks.derive.samples must be at least 1, got {samples}")
        self.folder = Path(folder)
        self.samples = samples

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Derive in every process and write in the first.

        This runs inside the fit because the processes of DDP end with it. A resumed run whose last
        epoch was already over comes here without having trained.
        """
        assert isinstance(pl_module, Search)

        def progress(items: Iterator[Any], total: int, name: str) -> Iterator[Any]:
            has_bar = trainer.is_global_zero and trainer.progress_bar_callback is not None
            for item in tqdm(items, name, total, disable=not has_bar, file=sys.stderr):
                yield item
                pl_module.poll()

        pl_module.to(trainer.strategy.root_device)  # Lightning has already moved it to the CPU
        pl_module.result = pl_module.derive(self.samples, progress)
        if trainer.is_global_zero:
            write_with_pictures(pl_module.result.architecture, self.folder)
            write_tables(pl_module.result, self.folder)
