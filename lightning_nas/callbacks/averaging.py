"""Moving average of the weights over the steps of a training, used to validate, keep and test."""

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor


class AverageWeights(WeightAveraging):
    """Exponential moving average of all weights and running statistics.

    The decay is ``min(decay, (1 + steps) / (10 + steps))``, as in the TensorFlow that NASNet used:
    the first steps have little weight, so the average soon forgets the initial weights.

    Args:
        decay: Weight of the past, in [0, 1).
    """

    def __init__(self, decay: float = 0.9999) -> None:
        super().__init__(use_buffers=True, multi_avg_fn=self._average)
        self.decay = decay

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Create the average on the device of the training; the module is still on the CPU.

        The counter of averages stays on the CPU, so that reading it does not wait for the device.
        """
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and self._average_model is not None:
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the average when a training resumes.

        A test must keep the averaged weights of the checkpoint; Lightning would replace them.
        """
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    @torch.no_grad()
    def _average(self, averages: list[Tensor], current: list[Tensor], _: Tensor) -> None:
        steps = self._latest_update_step
        weight = 1 - min(self.decay, (1 + steps) / (10 + steps))
        if averages[0].is_floating_point():  # Lightning passes tensors of one type at a time
            torch._foreach_lerp_(averages, current, weight)
        else:  # counters of batches
            torch._foreach_copy_(averages, current)
