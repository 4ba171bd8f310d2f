"""The setting ``minutes``: a search or a training that ends within a number of minutes.

A few steps are timed first. Then the length is reduced until the estimate fits, and schedules are
scaled to the new length. The chosen settings replace those in the run folder, so a resume keeps
them. Nothing is made longer: ``minutes`` is an upper bound.
"""

import logging
import math
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from lightning_nas.data.base import ImageData
from lightning_nas.errors import InputError
from lightning_nas.files import write_yaml
from lightning_nas.modules.child import ChildModule
from lightning_nas.run.build import build_search
from lightning_nas.run.judging import read_judging
from lightning_nas.run.training_cost import measure_training
from lightning_nas.search.dry_run import (
    estimate_trainings,
    time_children,
    time_phases,
    trains_children,
)
from lightning_nas.search.estimate import format_duration
from lightning_nas.search.shared_search import SharedSearch
from lightning_nas.storage.run_folder import RunFolder

log = logging.getLogger(__name__)
PLANNED = 0.9  # share of the time that is planned; the rest is for the start and the report
FINALISTS, JUDGEMENT, RANKING = 0.25, 0.25, 0.1  # shares of the time, at most
CHILD = "evaluation.network"  # settings of the networks of a search by trials
LEAST_CHILDREN = 20  # of a search by trials, before trainings become shorter
Settings = dict[str, Any]


def fit_training(
    cfg: DictConfig, module: Callable[[], ChildModule], data: ImageData, folder: RunFolder
) -> None:
    """Reduce the epochs of a training until it fits into ``minutes``.

    Args:
        cfg: The composed configuration; it is changed.
        module: Function that builds the module of the training.
        data: Images of the training.
        folder: The run folder.

    Raises:
        InputError: If a single epoch takes longer, or there are several devices.
    """
    if not _is_wanted(cfg):
        return
    with torch.random.fork_rng():
        epoch = measure_training(cfg, module(), data).epoch
    wanted = cfg.trainer.max_epochs
    epochs = _count_epochs(cfg, PLANNED * 60 * cfg.minutes, epoch, wanted, "an epoch takes")
    changes = _scale_schedule(cfg, wanted, epochs) if epochs != wanted else {}
    _apply(cfg, changes, f"an epoch takes {format_duration(epoch)}", folder)
    if 2 * epochs < wanted:
        log.warning(
            "minutes=%g: %d of %d epochs; more minutes, or fewer or smaller images, give a higher "
            "accuracy",
            cfg.minutes,
            epochs,
            wanted,
        )


def fit_search(cfg: DictConfig, data: ImageData | None, folder: RunFolder) -> None:
    """Reduce the length of a search until it fits into ``minutes``.

    Args:
        cfg: The composed configuration; it is changed.
        data: Images of the search; None if it reads a table.
        folder: The run folder.

    Raises:
        InputError: If the shortest search takes longer, or there are several devices.
    """
    if not _is_wanted(cfg):
        return
    with torch.random.fork_rng():
        search = build_search(cfg.method, data)
        if isinstance(search, SharedSearch):
            _fit_shared_search(cfg, search, folder)
        elif trains_children(search):
            _fit_trial_search(cfg, search, folder)


def _is_wanted(cfg: DictConfig) -> bool:
    if cfg.get("minutes") is None or cfg.get("resume"):
        return False
    trainer: pl.Trainer = instantiate(cfg.trainer, logger=False, enable_checkpointing=False)
    if trainer.num_devices * trainer.num_nodes > 1:
        raise InputError(
            "minutes= needs trainer.devices=1, because it times one process; with several devices "
            "use dry_run=true and trainer.max_epochs"
        )
    return True


def _count_epochs(cfg: DictConfig, seconds: float, epoch: float, wanted: int, what: str) -> int:
    """Return the number of epochs that fit into ``seconds``, at most ``wanted`` (-1 = no limit)."""
    if epoch > seconds:
        needed = math.ceil((60 * cfg.minutes - seconds + epoch) / 60 / PLANNED)
        size = "network" if "network" in cfg else "supernet" if cfg.get("supernet") else CHILD
        raise InputError(
            f"minutes={cfg.minutes:g} is too short: {what} {format_duration(epoch)}; give at "
            f"least minutes={needed}, or use fewer images, data.image_size, or a smaller network "
            f"({size}.cells, {size}.filters)"
        )
    epochs = int(seconds / epoch)
    return epochs if wanted < 0 else min(epochs, wanted)


def _scale_schedule(cfg: DictConfig, wanted: int, epochs: int) -> Settings:
    """Return the epochs and the schedule of a training, scaled to at most ``epochs``."""
    scheduler: Any = cfg.module.get("scheduler") or {}
    changes: Settings = {"trainer.max_epochs": epochs}
    if scheduler.get("warmup"):
        changes["module.scheduler.warmup"] = round(scheduler.warmup * epochs / wanted)
    if scheduler.get("period"):
        period, epochs = scale_periods(scheduler.period, scheduler.get("growth", 1), wanted, epochs)
        changes |= {"module.scheduler.period": period, "trainer.max_epochs": epochs}
    return changes


def scale_periods(period: int, growth: int, wanted: int, epochs: int) -> tuple[int, int]:
    """Scale a schedule with restarts to another number of epochs.

    The new schedule ends at the end of a period, where the learning rate is low. It has as many
    periods as the wanted one, or fewer if more than a tenth of the epochs would be lost.

    Args:
        period: Epochs of the first period in the wanted schedule, at least 1.
        growth: Factor between the lengths of successive periods, at least 1.
        wanted: Epochs of the wanted schedule, at least 1.
        epochs: Epochs of the new schedule, at most; at least 1.

    Returns:
        Epochs of the first period, and of all periods together.

    >>> scale_periods(10, 2, 630, 63), scale_periods(24, 1, 24, 6), scale_periods(10, 2, 310, 10)
    ((1, 63), (6, 6), (3, 9))
    """
    parts = [1]  # lengths of 1, 2, ... periods in units of the first one
    while period * parts[-1] < wanted:
        parts.append(parts[-1] + growth ** len(parts))
    totals = ((epochs // part, epochs // part * part) for part in reversed(parts))
    return next(pair for pair in totals if pair[1] >= 0.9 * epochs)


def _fit_shared_search(cfg: DictConfig, search: SharedSearch, folder: RunFolder) -> None:
    budget = PLANNED * 60 * cfg.minutes
    make_trainer = partial(instantiate, cfg.trainer, logger=False, enable_checkpointing=False)
    timings, _ = time_phases(search, make_trainer(callbacks=[], enable_progress_bar=False))
    changes: Settings = {}
    rest = budget
    one = 2 * math.prod(timings["validation"])  # both arms are ranked
    samples = min(cfg.callbacks.derive.samples, max(5, int(RANKING * budget / one)))
    changes["callbacks.derive.samples"] = samples
    rest -= samples * one
    if search.finalists.count:
        seconds, _ = estimate_trainings(search, search.finalists.seeds, search.finalists.epochs)
        count = _count_trainings(search.finalists.count, seconds, FINALISTS * budget)
        changes["method.finalists"] = count
        rest -= count * seconds
    numbers = read_judging(cfg, search)
    if numbers is not None:
        seconds, _ = estimate_trainings(search, numbers.trainings, numbers.epochs)
        is_judged = seconds <= JUDGEMENT * budget
        changes["judge.at_end"] = is_judged
        rest -= seconds if is_judged else 0
    epoch = sum(math.prod(timing) for timing in timings.values())
    wanted = cfg.trainer.max_epochs
    epochs = _count_epochs(cfg, rest, epoch, wanted, "an epoch takes")
    scheduler = cfg.method.supernet.scheduler
    if "T_0" in scheduler and epochs != wanted:
        growth = scheduler.get("T_mult", 1)
        period, epochs = scale_periods(scheduler.T_0, growth, wanted, epochs)
        changes["method.supernet.scheduler.T_0"] = period
    changes["trainer.max_epochs"] = epochs
    if cfg.method.warmup_epochs:
        changes["method.warmup_epochs"] = cfg.method.warmup_epochs * epochs // wanted
    _apply(cfg, changes, f"an epoch takes {format_duration(epoch)}", folder)


def _fit_trial_search(cfg: DictConfig, search: Any, folder: RunFolder) -> None:
    budget = PLANNED * 60 * cfg.minutes
    children, slots = time_children(search)
    child = statistics.fmean(one.seconds for one in children) / slots
    rest = budget
    changes: Settings = {}
    if search.finalists.count:
        whole = child / cfg.evaluation.epochs * search.finalists.epochs
        seconds = search.finalists.seeds * whole
        count = _count_trainings(search.finalists.count, seconds, FINALISTS * budget)
        changes["method.finalists"] = count
        rest -= count * seconds
    least, epoch = min(LEAST_CHILDREN, cfg.method.samples), child / cfg.evaluation.epochs
    what = f"an epoch of each of {least} children takes"
    epochs = _count_epochs(cfg, rest, least * epoch, cfg.evaluation.epochs, what)
    changes["evaluation.epochs"] = epochs
    if any(rung >= epochs for rung in cfg.evaluation.rungs):
        changes["evaluation.rungs"] = []
    changes["method.samples"] = min(cfg.method.samples, int(rest / (epoch * epochs)))
    _apply(cfg, changes, f"a child takes {format_duration(child)}", folder)


def _count_trainings(wanted: int, seconds: float, budget: float) -> int:
    """Return the number of finalists that fit into ``budget`` seconds: one alone is no choice."""
    if wanted * seconds <= budget:
        return wanted
    count = int(budget / seconds)
    return count if count > 1 else 0


def _apply(cfg: DictConfig, changes: Settings, measured: str, folder: RunFolder) -> None:
    """Change settings in the configuration and in the run folder, and say so."""
    changes = {name: value for name, value in changes.items() if _select(cfg, name) != value}
    changed = [f"{name}={value} (was {_select(cfg, name)})" for name, value in changes.items()]
    what = ", ".join(changed) or "nothing has to be shorter"
    log.info("minutes=%g: %s, measured; %s", cfg.minutes, measured, what)
    configs = [cfg]
    if folder.config.exists():
        configs.append(OmegaConf.create(folder.read_config()[1]))
    for config in configs:
        with open_dict(config):
            for name, value in changes.items():
                OmegaConf.update(config, name, value)
    if len(configs) > 1:
        write_yaml(folder.config, OmegaConf.to_container(configs[1]))


def _select(cfg: DictConfig, name: str) -> Any:
    value = OmegaConf.select(cfg, name)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
