"""ENAS as one fit: who learns when, when it stops, and the curves it had when it was written."""

import json
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from lightning_nas.callbacks.derive import DeriveArchitecture
from lightning_nas.callbacks.saving import SaveEpoch
from lightning_nas.errors import InputError
from lightning_nas.methods.enas import LONGEST_ROW
from lightning_nas.modules.supernet import SupernetModule
from tests.small import enas, trainer

GOLDEN = Path(__file__).with_name("golden.json")  # python -m tests.methods.test_enas writes it
METRICS = ("weights/loss", "controller/loss", "controller/reward", "controller/entropy")


class WhoMoves(pl.Callback):
    """Notes, for each step, which of the pair have changed."""

    def __init__(self):
        self.moves = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.before = self.states(module)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        changed = [
            name
            for name, state in self.states(module).items()
            if any(not torch.equal(state[key], self.before[name][key]) for key in state)
        ]
        self.moves.append((batch[0], changed))

    @staticmethod
    def states(module):
        pair = {"weights": module.supernet, "controller": module.controller}
        return {
            name: {key: value.nan_to_num(-1.0) for key, value in module.state_dict().items()}
            for name, module in pair.items()  # the baseline is not a number until its first reward
        }


@pytest.mark.parametrize("batch_norm", ["batch", "running", "recalibrated"])
@pytest.mark.parametrize("kind", ["macro", "cell"])
def test_each_phase_moves_its_own_half_and_no_bit_of_the_other(kind, batch_norm, tmp_path):
    pl.seed_everything(0, verbose=False)
    who = WhoMoves()
    trainer(tmp_path, 1, [who]).fit(enas(kind, batch_norm=batch_norm))
    assert {phase for phase, _ in who.moves} == {"weights", "controller"}
    assert all(changed == [phase] for phase, changed in who.moves)


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_what_was_searched_in_any_precision_is_derived(precision, tmp_path):
    pl.seed_everything(0, verbose=False)
    derive = DeriveArchitecture(tmp_path, samples=2)
    module = enas("cell", batch_norm="recalibrated")
    trainer(tmp_path, 1, [derive], precision=precision).fit(module)
    assert 0 <= derive.derived.reward <= 1
    assert (tmp_path / "architecture.json").exists()


class Breaks(SupernetModule):
    """Shared weights whose loss is not a number after the first epoch."""

    def loss(self, images, labels, architecture):
        loss, metrics = super().loss(images, labels, architecture)
        return (loss * float("nan") if self.trainer.current_epoch else loss), metrics


def test_ten_steps_without_finite_gradients_stop_the_search_with_the_checkpoint_of_before(tmp_path):
    pl.seed_everything(0, verbose=False)
    module = enas(images=320, supernet=Breaks)
    assert len(module.data.train_dataloader()) > LONGEST_ROW
    with pytest.raises(InputError, match="were not finite"):
        trainer(tmp_path, 3, [SaveEpoch(tmp_path)], enable_checkpointing=True).fit(module)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 0
    for name, value in module.state_dict().items():
        if name.startswith("supernet"):
            assert torch.equal(value, checkpoint["state_dict"][name]), name


class Curves(pl.Callback):
    """Notes the metrics of every step."""

    def __init__(self):
        self.curves = {name: [] for name in METRICS}

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        for name, curve in self.curves.items():
            if name.startswith(batch[0]):
                curve.append(float(trainer.logged_metrics[f"{name}_step"]))


def twenty_steps(kind, folder):
    """The curves of 16 steps of the weights and 4 of the controller, in double precision."""
    pl.seed_everything(0, verbose=False)
    curves = Curves()
    module = enas(kind, images=432, controller_steps=4)
    settings = {"precision": "64-true", "log_every_n_steps": 1, "logger": CSVLogger(folder)}
    trainer(folder, 1, [curves], **settings).fit(module)
    return curves.curves


@pytest.mark.parametrize("kind", ["macro", "cell"])
def test_the_first_twenty_steps_are_what_they_were(kind, tmp_path):
    curves = twenty_steps(kind, tmp_path)
    assert [len(curve) for curve in curves.values()] == [16, 4, 4, 4]
    for name, golden in json.loads(GOLDEN.read_text())[kind].items():
        assert curves[name] == pytest.approx(golden, rel=1e-6), name


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        curves = {kind: twenty_steps(kind, folder) for kind in ("macro", "cell")}
    GOLDEN.write_text(json.dumps(curves, indent=1) + "\n")
