"""Time of the parts of an ENAS weights step inside a real ``Trainer.fit``.

The network is the micro supernet of the released script on generated images of CIFAR's size. The
table shows the shares of forward, backward, optimiser, augmentation and sampling; the rest is
logging and Lightning itself.

    python -m benchmarks.step
    python -m benchmarks.step --batch 64 --steps 20 --threads 1
"""

import argparse
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from benchmarks.machine import parse
from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.synthetic import Synthetic
from lightning_nas.evaluation.complexity import synchronised_time
from lightning_nas.methods.enas import ENAS
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.networks.shared_cell import SharedCellNetwork
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.search.alternating import EpochSettings
from lightning_nas.spaces.cell import CellSpace

WARM_UP = 3  # steps


class Shares(pl.Callback):
    """Callback that sums the seconds of each part of the weights steps after the warm-up.

    Args:
        device: Device to synchronise between two parts.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self.steps = 0
        self.began = 0.0

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` wrapped so that its time is added to a part."""

        def call(*args: Any, **kwargs: Any) -> Any:
            start = synchronised_time(self.device)
            try:
                return function(*args, **kwargs)
            finally:
                if self.began:
                    self.seconds[name] += synchronised_time(self.device) - start

        return call

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Wrap each part in a clock."""
        pl_module.supernet.loss = self.timed("forward", pl_module.supernet.loss)
        pl_module.manual_backward = self.timed("backward", pl_module.manual_backward)
        optimizer = trainer.optimizers[0]
        optimizer.step = self.timed("optimiser", optimizer.step)  # type: ignore[method-assign]
        optimizer.zero_grad = self.timed("optimiser", optimizer.zero_grad)  # type: ignore[method-assign]
        pl_module.controller.sample = self.timed("sampling", pl_module.controller.sample)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock after the warm-up and stop it after the last weights step."""
        weights_steps = len(trainer.train_dataloader.weights)  # type: ignore[union-attr]
        if batch_idx == WARM_UP - 1:
            self.began = synchronised_time(self.device)
        elif batch_idx == weights_steps - 1:
            self.seconds["all"] = synchronised_time(self.device) - self.began
            self.steps = weights_steps - WARM_UP
            self.began = 0.0


class TimedLoader:
    """Loader that times the creation of its batches."""

    def __init__(self, loader: Any, shares: Shares) -> None:
        self.loader, self.shares = loader, shares

    def __len__(self) -> int:
        return len(self.loader)

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch to the loader."""
        self.loader.set_epoch(epoch)

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.loader)
        following = self.shares.timed("augmentation", lambda: next(batches, None))
        while (batch := following()) is not None:
            yield batch


def method(batch: int, steps: int, shares: Shares) -> ENAS:
    """Return the released micro search on enough generated images for ``steps`` steps."""
    data = Synthetic(
        images=int((WARM_UP + steps) * batch / 0.6) + 2 * batch,
        num_classes=10,
        image_size=32,
        batch_size=batch,
        validation=0.25,
        augmentation=Augmentation(pad=4, flip=True),
    )
    data.prepare_data()
    data.setup()
    train = data.train_dataloader
    data.train_dataloader = lambda: TimedLoader(train(), shares)  # type: ignore
    space = CellSpace(blocks=5)
    network = SharedCellNetwork(num_classes=10, cells=2, filters=20)
    optimizer = partial(SharedSGD, lr=0.05, weight_decay=2e-4, clip_norm=5.0)
    constant = partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)
    controller = ControllerModule(
        LSTMController(space), MovingAverageBaseline(0.99), partial(torch.optim.Adam, lr=0.0035)
    )
    supernet = SupernetModule(network, space, optimizer, constant)
    return ENAS(supernet, controller, data, EpochSettings(controller_steps=1, controller_batch=1))


def main() -> None:
    """Run the fit and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="images a batch (default: 64)")
    parser.add_argument(
        "--steps", type=int, default=20, help="approximate number of steps (default: 20)"
    )
    arguments = parse(parser)
    warnings.filterwarnings("ignore")  # Lightning warns about short fits and wrapped methods
    shares = Shares(arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_epochs=1,
            accelerator="gpu" if arguments.device.type == "cuda" else "cpu",
            limit_val_batches=0,
            logger=CSVLogger(folder),
            callbacks=[shares],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(method(arguments.batch, arguments.steps, shares))
    whole = shares.seconds.pop("all")
    print(
        f"{torch.get_num_threads()} threads, {arguments.device}, batch {arguments.batch}, "
        f"{shares.steps} steps of {1e3 * whole / shares.steps:.0f} ms"
    )
    computing = ("forward", "backward", "optimiser")
    rest = whole - sum(shares.seconds.values())
    for name, seconds in {**shares.seconds, "rest": rest}.items():
        print(f"{name:<40}{seconds / whole:>8.1%}")
    outside = whole - sum(shares.seconds[name] for name in computing)
    print(f"{'everything but these three':<40}{outside / whole:>8.1%}")


if __name__ == "__main__":
    main()
