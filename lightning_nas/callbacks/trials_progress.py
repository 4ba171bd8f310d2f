"""The progress of a search whose architectures are evaluated by themselves."""

import sys

from pytorch_lightning import Callback, LightningModule, Trainer
from tqdm import tqdm

from lightning_nas.search.trial_search import ARMS, TrialSearch
from lightning_nas.storage.trial import Trial


class TrialsProgress(Callback):
    """A bar that counts architectures and shows the best reward."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar, with what was evaluated before."""
        assert isinstance(pl_module, TrialSearch)
        assert pl_module.rollouts is not None
        ended = pl_module.rollouts.ended
        self.bar = tqdm(total=pl_module.samples, initial=ended, desc="Trials", file=sys.stderr)
        assert pl_module.journal is not None
        self.best = max((t.reward for t in pl_module.journal.best(ARMS, 1)), default=0.0)
        pl_module.watch = self._show

    def _show(self, trial: Trial) -> None:
        self.best = max(self.best, trial.reward)
        self.bar.set_postfix(best=f"{self.best:.4f}", refresh=False)
        self.bar.update()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the bar as it is."""
        self.bar.close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the line to the error."""
        if hasattr(self, "bar"):
            self.bar.close()
