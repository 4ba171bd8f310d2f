"""The progress bar of a search by trials."""

import sys

from pytorch_lightning import Callback, LightningModule, Trainer
from tqdm import tqdm

from lightning_nas.search.trial_search import TrialSearch
from lightning_nas.storage.trial import Trial


class TrialsProgress(Callback):
    """Progress bar that counts architectures and shows the best reward."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar; trials from before a resumption count as done."""
        assert isinstance(pl_module, TrialSearch)
        assert pl_module.stream is not None
        total, ended = pl_module.sampling.samples, pl_module.stream.ended
        self.bar = tqdm(total=total, initial=ended, desc="Trials", file=sys.stderr)
        self.best = max((trial.reward for trial in pl_module.list_best(1)), default=0.0)
        pl_module.watch = self._update

    def _update(self, trial: Trial) -> None:
        self.best = max(self.best, trial.reward)
        self.bar.set_postfix(best=f"{self.best:.4f}", refresh=False)
        self.bar.update()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar; its last state stays visible."""
        self.bar.close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Close the bar: the error message needs a line of its own."""
        if hasattr(self, "bar"):
            self.bar.close()
