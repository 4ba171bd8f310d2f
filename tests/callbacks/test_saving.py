"""When the checkpoint of an epoch is saved."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.demos.boring_classes import BoringModel

from lightning_nas.callbacks import saving
from lightning_nas.callbacks.saving import SaveEpoch
from lightning_nas.errors import InputError
from tests.small import trainer

EPOCHS = 10


class Noted(SaveEpoch):
    """Callback that notes which epochs it saves."""

    def on_train_epoch_end(self, trainer, pl_module):
        super().on_train_epoch_end(trainer, pl_module)
        if self.pending.exists():
            self.epochs = [*getattr(self, "epochs", []), trainer.current_epoch]


@pytest.fixture
def clock(monkeypatch):
    """A clock on which a save takes 0.11 s."""
    clock = SimpleNamespace(now=1000.0)
    save = pl.Trainer.save_checkpoint

    def slow_save(*args, **kwargs):
        clock.now += 0.11
        save(*args, **kwargs)

    monkeypatch.setattr(saving, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(pl.Trainer, "save_checkpoint", slow_save)
    return clock


@pytest.mark.parametrize(
    ("seconds", "stop", "expected"),
    [
        (0.0, None, list(range(EPOCHS))),
        (2.5, None, [0, 3, 6, 9]),
        (1e9, None, [0, 9]),
        (None, None, [0, 6, 9]),  # 50 times 0.11 s
        (1e9, 4, [0, 4]),
    ],
)
def test_the_first_the_last_and_the_due_epochs_are_saved(seconds, stop, expected, clock, tmp_path):
    class Epochs(pl.Callback):
        def on_train_epoch_start(self, trainer, module):
            clock.now += 1.0  # an epoch takes a second
            trainer.should_stop = trainer.current_epoch == stop

    save = Noted(tmp_path, seconds)
    fit = trainer(
        tmp_path, EPOCHS, [Epochs(), save], enable_checkpointing=True, limit_train_batches=1,
        limit_val_batches=0,
    )  # fmt: skip
    fit.fit(BoringModel())
    assert save.epochs == expected
    assert save.path.exists()
    assert not save.pending.exists()


class WithAdam(BoringModel):
    """A model whose optimiser has a state."""

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "is a str"),
        ({}, "is a dict"),
        (torch.zeros(3), r"is \[3\] instead of \[2, 32\]"),
        (3.0, r"is a number instead of \[2, 32\]"),
    ],
)
def test_a_damaged_state_of_an_optimizer_is_refused(value, message, tmp_path):
    path, reader = tmp_path / "last.ckpt", saving.AtomicCheckpointIO()
    settings = {"plugins": [reader], "limit_train_batches": 1}
    fitted = trainer(tmp_path, 1, **settings)
    fitted.fit(WithAdam())
    fitted.save_checkpoint(path)
    content = reader.load_checkpoint(path)
    content["optimizer_states"][0]["state"][0]["exp_avg_sq"] = value
    reader.save_checkpoint(content, path)
    resumed = trainer(tmp_path, 2, [SaveEpoch(tmp_path)], enable_checkpointing=True, **settings)
    with pytest.raises(InputError, match=f"damaged: optimizer_states: exp_avg_sq {message}"):
        resumed.fit(WithAdam(), ckpt_path=path)
