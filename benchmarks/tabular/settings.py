"""The compared methods: arguments of ``search.py`` that are added to those of the experiment."""

from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from benchmarks.experiment import experiment
from lightning_nas.evaluation.tabular import TabularBenchmark
from lightning_nas.run.build import build_search
from lightning_nas.search.trial_search import TrialSearch

TABLE = (
    "experiment=nas_bench_201",
    "method.control=0",
)  # no random arm: all queries go to the method
NAS = ("method=nas", "controller=nas")
METHODS = {
    "random": ("method=random_search",),
    "evolution_paper": (
        "method=evolution",
        "method.population=100",
        "method.tournament=25",
        "method.with_replacement=true",
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
    "random_surrogate": ("method=random_search", "method.candidates=1000"),
    "evolution_surrogate": ("method=evolution", "method.candidates=30"),
    "nas_surrogate": (*NAS, "method.candidates=50"),
    "nasnet_surrogate": ("method.batch=10", "method.candidates=100"),
}


def composed(settings: tuple[str, ...]) -> DictConfig:
    """Return the configuration of a method, with interpolations resolved to save time later."""
    whole = experiment([*TABLE, *settings])
    return OmegaConf.create(OmegaConf.to_container(whole.method, resolve=True))


def method(cfg: DictConfig, seed: int, table: TabularBenchmark, **changes: Any) -> TrialSearch:
    """Return the search that ``search.py seed=SEED`` would start, over an open table.

    Args:
        cfg: Configuration from ``composed``.
        seed: Seed of the initial weights of the controller and of all samples.
        table: Table that answers.
        changes: Keyword arguments that replace those of the configuration.
    """
    torch.manual_seed(seed)
    search = build_search(cfg, None, evaluation=lambda data: table, seed=seed, **changes)
    assert isinstance(search, TrialSearch)
    return search
