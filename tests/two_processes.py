"""A search in two processes that compares them: PRECISION BATCH_NORM FOLDER."""

import sys

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy

from lightning_nas.search.processes import average_accuracies
from tests.small import enas, trainer


class CompareProcesses(pl.Callback):
    """Callback that checks in the processes what must be equal and what must differ."""

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        """Compare the architectures that were sampled ahead in the first step."""
        if batch_idx == 1:
            lengths = [len(layer.skips) for a in module._next_architectures for layer in a.layers]
            gathered = module.all_gather(torch.tensor(lengths))
            assert not torch.equal(gathered[0], gathered[1]), "both sample the same architectures"

    def on_train_end(self, trainer, module):
        """Compare all weights, the baseline and running statistics."""
        parts = [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]
        flat = module.all_gather(torch.cat([part.detach().flatten() for part in parts]))
        assert torch.equal(flat[0], flat[1]), "the processes drifted apart"
        rank = trainer.global_rank
        mean = average_accuracies(torch.tensor([float(rank)]), 1 + 2 * rank, trainer)
        assert mean == [0.75], "accuracies are not weighted by their images"


def search_with_two(precision, batch_norm, tmp_path):
    """Search with two processes and check them; the process ends with status 1 if a check fails."""
    pl.seed_everything(0, verbose=False)
    two = trainer(
        tmp_path,
        epochs=2,
        callbacks=[CompareProcesses()],
        devices=2,
        precision=precision,
        strategy=DDPStrategy(start_method="fork", find_unused_parameters=True),
    )
    two.fit(enas(batch_norm=batch_norm))
    assert two.callback_metrics["controller/reward"] > 0


if __name__ == "__main__":
    search_with_two(*sys.argv[1:])
