"""The methods that are compared, each as ``search.py`` takes it: settings beside the experiment."""

from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from benchmarks.experiment import experiment
from lightning_nas.evaluation.tabular import TabularBenchmark
from lightning_nas.search.trial_search import TrialSearch

TABLE = ("experiment=nas_bench_201", "method.control=0")  # all queries for the method
NAS = ("method=nas", "controller=nas")
METHODS = {
    "random": ("method=random_search",),
    "evolution_paper": (
        "method=evolution",
        "method.population=100",
        "method.tournament=25",
        "method.redraws=0",
    ),
    "evolution": ("method=evolution",),
    "nas_paper": (
        *NAS,
        "method.controller.optimizer.lr=0.0006",
        "method.batch=8",
        "method.controller.entropy_weight=0",
        "method.controller.baseline.decay=0.95",
        "method.redraws=0",
        "controller.tanh_constant=null",
    ),
    "nas": NAS,
    "nasnet_paper": (
        "method.controller.optimizer.lr=0.00035",
        "method.batch=20",
        "method.passes=4",
        "method.clip=0.2",
        "method.normalise=false",
        "method.ranks=false",
        "method.redraws=0",
        "method.controller.entropy_weight=1e-5",
        "method.controller.baseline.decay=0.95",
    ),
    "nasnet": (),
}


def composed(settings: tuple[str, ...]) -> DictConfig:
    """Return what instantiates a method on the table, its interpolations resolved: sooner done."""
    whole = experiment([*TABLE, *settings])
    return OmegaConf.create(OmegaConf.to_container(whole.method, resolve=True))


def method(cfg: DictConfig, seed: int, table: TabularBenchmark, **changes: Any) -> TrialSearch:
    """Return a search as ``search.py seed=SEED`` begins it, over a table that is open already.

    Args:
        cfg: Of ``composed``.
        seed: Of the controller's first weights and of all draws.
        table: Which is asked.
        changes: Of the method's arguments.
    """
    torch.manual_seed(seed)
    search: TrialSearch = instantiate(
        cfg, data=None, evaluation=lambda data: table, seed=seed, **changes
    )
    return search
