"""Shared weights that were trained on uniformly sampled architectures alone: a fair comparison.

The shared weights of a search were trained on samples of its controller, so they favour what the
controller prefers. These weights favour no architecture.
"""

from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import LambdaCallback
from tqdm import tqdm

from lightning_nas.evaluation.executors import Poll
from lightning_nas.judge.finished_search import FinishedSearch
from lightning_nas.methods.enas import ENAS
from lightning_nas.report.comparison import list_final_ranking
from lightning_nas.report.record import UNIFORM_CONTROLLER, read_run
from lightning_nas.run.build import build_search
from lightning_nas.run.recorded import find_trusted_names


def score_with_uniform_weights(
    search: FinishedSearch, epochs: int, poll: Poll
) -> dict[str, Any] | None:
    """Train new shared weights and score the final ranking of the search with them.

    Args:
        search: The finished search; its weights stay as they are.
        epochs: Number of epochs, at least 1. A schedule of the learning rate is that of the search.
        poll: Function that is called after every batch; it may raise to stop.

    Returns:
        Number of epochs, and arm, tokens and validation accuracy in [0, 1] of each architecture;
        None if the search recorded no final ranking.
    """
    ranking = list_final_ranking(read_run(search.run.path, find_trusted_names()))
    trials = [trial for arm in ranking for trial in arm]
    if not all(ranking):
        return None
    tokens_NT = torch.tensor([trial.proposal.tokens for trial in trials])
    accuracies: list[float] = []
    with tqdm(total=epochs, desc="Uniform shared weights") as bar:

        def end_batch(*_: Any) -> None:
            poll()

        def score(trainer: pl.Trainer, module: pl.LightningModule) -> None:
            assert isinstance(module, ENAS)
            accuracies.extend(module.rank(tokens_NT, lambda scores, *_: scores)[1])

        _train(
            search,
            epochs,
            LambdaCallback(
                on_train_batch_end=end_batch,
                on_train_epoch_end=lambda *_: bar.update(),
                on_train_end=score,  # before Lightning moves the weights off the device
            ),
        )
    return {
        "epochs": epochs,
        "architectures": [
            {"arm": trial.proposal.arm, "tokens": trial.proposal.tokens, "accuracy": accuracy}
            for trial, accuracy in zip(trials, accuracies, strict=True)
        ],
    }


def _train(search: FinishedSearch, epochs: int, callback: pl.Callback) -> None:
    """Run the search again with a controller that samples uniformly and learns nothing."""
    changes = {
        "controller": {"_target_": UNIFORM_CONTROLLER, "space": "${space}"},
        "trainer": {"max_epochs": epochs, "devices": 1, "num_nodes": 1, "strategy": "auto"},
    }
    cfg = OmegaConf.merge({k: v for k, v in search.cfg.items_ex(resolve=False)
                           if k != "controller"}, changes)  # fmt: skip
    with torch.random.fork_rng():
        pl.seed_everything(search.cfg.seed, verbose=False)
        method = build_search(cfg.method, search.data, journal=None)
        trainer: pl.Trainer = instantiate(
            cfg.trainer,
            logger=False,
            callbacks=[callback],
            enable_checkpointing=False,
            enable_progress_bar=False,
            limit_val_batches=0,
            num_sanity_val_steps=0,
        )
        trainer.fit(method)
