"""Checkpoints that a kill cannot damage, and random states, so that resume is exact."""

import io
import random
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from torch import Tensor

from lightning_nas.errors import InputError
from lightning_nas.files import name_part, replace_file
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.storage.run_folder import LAST_CHECKPOINT
from lightning_nas.weights.files import read_checkpoint

PATIENCE = 50  # time between two checkpoints, in durations of a save
# States of torch's optimisers that have the shape of the parameter
AVERAGES = {"momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg"}
REQUIRED = {"state_dict", "loops", "callbacks", "epoch", "global_step"}  # of a checkpoint of a run


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that a kill cannot damage, and a reader that explains damaged ones."""

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return a checkpoint, with its tensors on the CPU.

        Raises:
            InputError: If the file is damaged, contains Python objects, or is no checkpoint.
        """
        content = read_checkpoint(Path(path))
        if not isinstance(content, dict) or not content.keys() >= REQUIRED:
            raise InputError(f"{path}: not the checkpoint of a run")
        return content

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write ``path`` in one step."""
        content = io.BytesIO()  # if the disk is full, torch's own writer does not say so
        torch.save(checkpoint, content)
        replace_file(Path(path), lambda part: part.write_bytes(content.getbuffer()))


def _check_states(optimizer: torch.optim.Optimizer, path: Any) -> None:
    """Raise InputError if a restored state of an optimiser does not fit its parameter.

    Torch itself uses the values at the first step without a check.
    """
    packs_averages = isinstance(optimizer, SharedSGD)  # it checks them when it loads
    for parameter, state in optimizer.state.items():
        values = state if isinstance(state, dict) else {"state": state}
        for name, value in values.items():
            shape = getattr(value, "shape", None)
            if not isinstance(value, Tensor | int | float | None):
                problem = f"a {type(value).__name__}"
            elif name in AVERAGES and shape != parameter.shape and not packs_averages:
                found = "a number" if shape is None else list(shape)
                problem = f"{found} instead of {list(parameter.shape)}"
            else:
                continue
            raise InputError(f"{path}: damaged: optimizer_states: {name} is {problem}")


@contextmanager
def explain_checkpoint(checkpoint: str | None) -> Iterator[None]:
    """Turn errors of Lightning while it restores a checkpoint into an error of the user.

    Args:
        checkpoint: The checkpoint that is restored in this block; None = none.

    Raises:
        InputError: If the content of the checkpoint does not fit the run.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        restores = any(name.endswith("checkpoint_connector.py") for name in frames)
        if checkpoint is None or not restores or isinstance(error, InputError):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{checkpoint}: does not fit this run: {reason}") from error


class SaveEpoch(Checkpoint):
    """Callback that saves ``last.ckpt`` at the end of an epoch.

    Derives from ``Checkpoint``, because Lightning calls checkpoint callbacks after all others.
    Lightning writes the metrics of an epoch later still. The file therefore gets its name only when
    they are written: after a kill in between, the epoch is repeated, and no row is lost.

    Epochs after the latest checkpoint are repeated in the same way. The first and the last epoch
    are always saved.

    Args:
        folder: Folder of the checkpoint.
        seconds: Minimum time between two checkpoints, in seconds; 0 = save every epoch; None = 50
            times the duration of the latest save, so that saving takes at most 2 % of the time.
    """

    def __init__(self, folder: str | Path, seconds: float | None = 0.0) -> None:
        super().__init__()
        self.path = Path(folder) / LAST_CHECKPOINT
        self.pending = name_part(self.path)
        self.seconds = seconds
        self._next_save = 0.0  # monotonic time

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the restored states of the optimisers."""
        if trainer.ckpt_path is not None:
            for optimizer in trainer.optimizers:
                _check_states(optimizer, trainer.ckpt_path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after all other callbacks of the epoch, if it is time."""
        is_due = _ends_with_this_epoch(trainer) or time.monotonic() >= self._next_save
        if not trainer.strategy.broadcast(is_due):  # all processes save together
            return
        began = time.monotonic()
        trainer.save_checkpoint(self.pending, weights_only=False)
        now = time.monotonic()
        wait = PATIENCE * (now - began) if self.seconds is None else self.seconds
        self._next_save = now + wait

    def publish(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        exception: BaseException | None = None,
    ) -> None:
        """Give the checkpoint of the last complete epoch its name, if it has none yet."""
        if trainer.is_global_zero and self.pending.exists():
            self.pending.replace(self.path)

    on_train_epoch_start = on_train_end = on_exception = publish


def choose_checkpoint(trainer: Trainer, last: Path, is_last: bool) -> str | None:
    """Return the checkpoint of a training to test; None if the callbacks saved none.

    Args:
        trainer: Trainer of the training.
        last: Path of the checkpoint of the last epoch.
        is_last: Whether the last checkpoint is the result, because no images are held out.
    """
    savers = [call for call in trainer.checkpoint_callbacks if isinstance(call, ModelCheckpoint)]
    if savers and not is_last:
        return savers[0].best_model_path or None
    return str(last) if last.exists() else None


def _ends_with_this_epoch(trainer: Trainer) -> bool:
    ends_by_steps = 0 <= trainer.max_steps <= trainer.global_step
    return trainer.should_stop or ends_by_steps or trainer.current_epoch + 1 == trainer.max_epochs


class RandomStates(Callback):
    """Callback that saves the random states of Python, NumPy and torch: Lightning does not."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the states by process, as numbers and tensors, which ``weights_only`` accepts."""
        name, keys, position, has_gauss, gauss = np.random.get_state()
        states = {
            "python": random.getstate(),
            "numpy": [str(name), [int(key) for key in keys], position, has_gauss, gauss],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        }
        return {str(rank): own for rank, own in enumerate(_from_all_processes(states))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states of this process until training starts: setup consumes random numbers."""
        self._loaded = state_dict.get(str(_rank()))  # None if there were fewer processes

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the states of the checkpoint, if there was one."""
        self._restore()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the states if no training started because the last epoch was already complete."""
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
