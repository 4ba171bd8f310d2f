"""ENAS on two real processes: each samples its own architectures, and both stay equal."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy

from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.data.synthetic import Synthetic
from lightning_nas.methods.enas import ENAS
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.networks.shared_macro import SharedMacroNetwork
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.spaces.macro import MacroSpace


class CompareProcesses(pl.Callback):
    """Fails in the processes if they differ where they must not, or agree where they must not."""

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        """Compare what the first step has drawn ahead."""
        if batch_idx == 1:
            lengths = [len(layer.skips) for a in module._ahead for layer in a.layers]
            drawn = module.all_gather(torch.tensor(lengths))
            assert not torch.equal(drawn[0], drawn[1]), "both sample the same architectures"

    def on_train_end(self, trainer, module):
        """Compare all weights and the baseline."""
        parts = [*module.parameters(), module.controller.baseline.average]
        flat = module.all_gather(torch.cat([part.detach().flatten() for part in parts]))
        assert torch.equal(flat[0], flat[1]), "the processes drifted apart"
        rank = trainer.global_rank
        joined = module._over_all_images(torch.tensor([float(rank)]), images=1 + 2 * rank)
        assert joined == [0.75], "accuracies are not weighted by their images"


def method():
    data = Synthetic(images=128, num_classes=4, image_size=8, channels=3, noise=0.2,
                     batch_size=16, validation=0.25)  # fmt: skip
    data.prepare_data()
    data.setup()
    space = MacroSpace(layers=3)
    network = SharedMacroNetwork(num_classes=4, image_size=8, layers=3, filters=4)
    constant = partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)
    supernet = SupernetModule(network, space, partial(SharedSGD, lr=0.05), constant)
    controller = ControllerModule(
        LSTMController(space, hidden=8),
        MovingAverageBaseline(0.9),
        partial(torch.optim.Adam, lr=0.01),
        samples=2,
    )
    return ENAS(supernet, controller, data, controller_steps=3, controller_batch=8)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_two_processes_stay_equal(precision, tmp_path):
    pl.seed_everything(0, verbose=False)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=2,
        precision=precision,
        strategy=DDPStrategy(start_method="fork", find_unused_parameters=True),
        callbacks=[CompareProcesses()],
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(method())
    assert trainer.callback_metrics["controller/reward"] > 0
