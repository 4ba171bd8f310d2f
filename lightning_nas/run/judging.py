"""The judgement at the end of a search: its settings and its cost. ``lightning_nas/judge`` judges.

Only ENAS is judged: the other methods train every child from scratch.
"""

import logging
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_nas.judge.numbers import Numbers, choose_numbers
from lightning_nas.methods.enas import ENAS
from lightning_nas.search.base import Search
from lightning_nas.search.dry_run import estimate_trainings
from lightning_nas.search.estimate import format_duration, list_steps, time_steps
from lightning_nas.search.shared_search import SharedSearch

log = logging.getLogger(__name__)


def read_judging(cfg: DictConfig, search: Search) -> Numbers | None:
    """Return the numbers of trainings at the end of a search; None = no judgement.

    Raises:
        InputError: If a number is out of range, a setting of the evaluator cannot be used, or the
            data have no test images.
    """
    settings: Any = OmegaConf.to_container(cfg.judge) if cfg.get("judge") else {}
    if not settings.get("at_end"):
        return None
    if not isinstance(search, ENAS) or search.make_evaluator is None:
        log.info("judge.at_end=true: nothing to judge; only ENAS shares weights")
        return None
    # before the search: a judgement needs test images and an evaluator
    search.data.validate_on_test()
    _ = search.evaluator
    return choose_numbers(settings, {})


def estimate_judging(search: SharedSearch, numbers: Numbers) -> str:
    """Time a few batches of a few children and return the cost of the judgement in words.

    Args:
        search: The search, after ``estimate_cost``.
        numbers: Numbers of trainings.
    """
    seconds, words = estimate_trainings(search, numbers.trainings, numbers.epochs)
    if numbers.uniform_epochs:
        seconds += numbers.uniform_epochs * _estimate_weights_epoch(search)
        words += f" and {numbers.uniform_epochs} epochs of other shared weights"
    return f"{format_duration(seconds)} more at the end: {words}"


def _estimate_weights_epoch(search: SharedSearch) -> float:
    """Return the duration in seconds of an epoch of the shared weights."""
    loader, trainer = search.data.train_dataloader(), search.trainer
    batch = search.cast(next(iter(loader)))
    with trainer.precision_plugin.forward_context():
        steps = list_steps(search.supernet, search.controller, search.random_arm, *[batch] * 3)
        device = trainer.strategy.root_device
        timings = time_steps({"weights": steps["weights"]}, [len(loader)], device)
    step, count = timings["weights"]
    return step * count
