"""A search in two processes that compares them: PRECISION BATCH_NORM FOLDER."""

import sys
from collections import Counter

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy

from lightning_nas.modules import manual
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.search.processes import average_accuracies
from tests.small import enas, trainer

CALLS: Counter[str] = Counter()  # of functions of torch.distributed
AVERAGED: list[tuple[torch.Tensor, torch.Tensor]] = []  # gradients before and after the mean


def watch_exchanges():
    """Count what the processes exchange, and record the gradients."""

    def counted(name, function):
        def call(*args, **kwargs):
            CALLS[name] += 1
            return function(*args, **kwargs)

        return call

    for name in ("all_gather", "all_reduce", "barrier", "broadcast", "broadcast_object_list"):
        function = getattr(torch.distributed, name)
        setattr(torch.distributed, name, counted(name, function))
    average = manual._average

    def recorded(values):
        own = values.clone()
        average(values)
        AVERAGED.append((own, values.clone()))

    manual._average = recorded


class CompareProcesses(pl.Callback):
    """Callback that checks in the processes what must be equal and what must differ."""

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        """Compare the architectures that were sampled ahead in the first step."""
        assert trainer.strategy.model is module, "the wrapper of DDP searches for unused weights"
        if batch_idx == 1:
            lengths = [len(layer.skips) for a in module._next_architectures for layer in a.layers]
            gathered = module.all_gather(torch.tensor(lengths))
            assert not torch.equal(gathered[0], gathered[1]), "both sample the same architectures"
        self.calls = CALLS.copy()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        """Count the exchanges of a step, and compare the gradients of the step with their mean."""
        calls, (own, mean) = CALLS - self.calls, AVERAGED.pop() if AVERAGED else (None, None)
        if not trainer.train_dataloader.ends_phase(batch_idx):
            assert calls["barrier"] == 0, "processes wait for one another"
            assert calls["all_reduce"] == (batch[0] != "control")
            assert batch[0] != "weights" or calls.total() == 1
        if own is not None:
            both = module.all_gather(own)
            assert not torch.equal(both[0], both[1])
            assert torch.equal(mean, (both[0] + both[1]) / 2)

    def on_train_end(self, trainer, module):
        """Compare all weights, the baseline and running statistics."""
        parts = [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]
        flat = module.all_gather(torch.cat([part.detach().flatten() for part in parts]))
        assert torch.equal(flat[0], flat[1]), "the processes drifted apart"
        rank = trainer.global_rank
        mean = average_accuracies(torch.tensor([float(rank)]), 1 + 2 * rank, trainer)
        assert mean == [0.75], "accuracies are not weighted by their images"
        check_missing_gradients(rank)


def search_with_two(precision, batch_norm, tmp_path):
    """Search with two processes and check them; the process ends with status 1 if a check fails."""
    watch_exchanges()
    pl.seed_everything(0, verbose=False)
    two = trainer(
        tmp_path,
        epochs=2,
        callbacks=[CompareProcesses()],
        devices=2,
        precision=precision,
        strategy=DDPStrategy(start_method="fork"),
    )
    two.fit(enas(batch_norm=batch_norm))
    assert two.callback_metrics["controller/reward"] > 0


def check_missing_gradients(rank):
    """Average gradients that are missing in one process or in both: as zero, or not at all."""
    both, one, none = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))
    both.grad = torch.full((2,), 1.0 + rank)
    one.grad = torch.full((2,), 3.0) if rank else None
    manual.average_gradients(torch.optim.SGD([both, one, none], lr=0.1))
    assert (both.grad.tolist(), one.grad.tolist(), none.grad) == ([1.5, 1.5], [1.5, 1.5], None)
    used, unused = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = SharedSGD([used, unused], lr=1.0, momentum=0.0, weight_decay=0.5,
                          nesterov=False, sparse_updates=True)  # fmt: skip
    used.grad = torch.full((2,), 3.0) if rank else None  # used by one process only
    manual.average_gradients(optimizer)
    optimizer.step()
    assert (used.tolist(), unused.tolist()) == ([-1.0, -1.0], [1.0, 1.0])


if __name__ == "__main__":
    search_with_two(*sys.argv[1:])
