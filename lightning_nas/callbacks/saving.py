"""Checkpoints that a kill cannot spoil, and from which a run goes on as if it had not stopped."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from lightning_nas.files import replace_file


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and renames it."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write ``path`` in one step."""
        replace_file(Path(path), lambda part: torch.save(checkpoint, part))


class SaveEpoch(Checkpoint):
    """Saves ``last.ckpt`` at the end of every epoch.

    A ``Checkpoint`` and not a plain callback, for Lightning calls those after all others.

    Args:
        folder: Where it is written.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "last.ckpt"

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, once all of the epoch is over."""
        trainer.save_checkpoint(self.path, weights_only=False)


class RandomStates(Callback):
    """Keeps each process's random states, of Python, NumPy and torch: Lightning does not."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the states, by process; plain numbers and tensors load with ``weights_only``."""
        name, keys, position, has_gauss, gauss = np.random.get_state()
        states = {
            "python": random.getstate(),
            "numpy": [str(name), [int(key) for key in keys], position, has_gauss, gauss],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        }
        return {str(rank): own for rank, own in enumerate(_from_all_processes(states))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Note this process's states; they are set after all that draws before training."""
        self._loaded = state_dict.get(str(_rank()))  # None where there were fewer processes

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the states of the checkpoint, if there was one."""
        self._restore()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set them where the last epoch was over already, so that no training has started."""
        self._restore()

    def _restore(self) -> None:
        if self._loaded is None:
            return
        version, keys, gauss = self._loaded["python"]
        random.setstate((version, tuple(keys), gauss))
        name, numbers, position, has_gauss, cached = self._loaded["numpy"]
        np.random.set_state((name, np.array(numbers, dtype=np.uint32), position, has_gauss, cached))
        torch.set_rng_state(self._loaded["torch"].cpu())
        if self._loaded["cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(self._loaded["cuda"].cpu())
        self._loaded = None


def _rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def _from_all_processes(value: Any) -> list[Any]:
    if not torch.distributed.is_initialized():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values
