"""A finished ENAS search, opened from its run folder: its weights, its samples and their scores."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from tqdm import tqdm

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.data.base import ImageData
from lightning_nas.data.seeding import make_generator
from lightning_nas.errors import InputError, list_some
from lightning_nas.evaluation.executors import Poll
from lightning_nas.layers.operations import register_operations
from lightning_nas.methods.enas import ENAS
from lightning_nas.modules.scoring_modes import (
    MODES,
    build_in_mode,
    gather_statistics,
    tracks_statistics,
)
from lightning_nas.modules.supernet import SupernetModule
from lightning_nas.published import load_architecture
from lightning_nas.run.arguments import CONFIGS
from lightning_nas.run.build import build_search
from lightning_nas.run.checks import check_ranges
from lightning_nas.run.overrides import parse_settings
from lightning_nas.run.parts import build_data
from lightning_nas.run.recorded import read_run_configuration
from lightning_nas.run.session import prepare_process
from lightning_nas.storage.run_folder import COMPLETE, RunFolder, shell_path
from lightning_nas.weights.files import read_checkpoint

EXECUTORS = CONFIGS / "executor"
SETTABLE = ("evaluation.", "executor=", "executor.", "data.root=", "data.download=", "threads=")
NETWORK = "evaluation.network."  # arguments of build_network, which checks their names


@dataclass
class FinishedSearch:
    """An ENAS search that has ended.

    Args:
        run: The run folder.
        cfg: The configuration of the run, with the settings of the judge.
        data: Data of the search.
        method: The method with its trained shared weights and controller.
        trainer: Trainer that fits nothing: it provides device and precision.
        summary: Content of ``summary.json``.
    """

    run: RunFolder
    cfg: DictConfig
    data: ImageData
    method: ENAS
    trainer: pl.Trainer
    summary: dict[str, Any]

    @property
    def has_running_statistics(self) -> bool:
        """Whether the search tracked running statistics of batch norm."""
        return tracks_statistics(self.method.supernet.network.state_dict())

    def load_derived(self) -> Architecture:
        """Return the derived architecture."""
        return load_architecture(self.run.path)

    def build_supernet(self, batch_norm: str) -> SupernetModule:
        """Return an untrained supernet of the same size with another mode of batch norm."""
        cfg = OmegaConf.merge(self.cfg, {"supernet": {"batch_norm": batch_norm}})
        with torch.random.fork_rng(devices=[]):  # weights are initialised on the CPU
            supernet: SupernetModule = instantiate(cfg.method.supernet)
        self.trainer.precision_plugin.convert_module(supernet)
        return supernet.to(self.trainer.strategy.root_device)


def open_search(
    folder: Path, settings: Sequence[str] = (), announce_data: bool = True
) -> FinishedSearch:
    """Return the search in a run folder, with its data, shared weights and controller.

    Args:
        folder: The run folder.
        settings: Settings ``name=value`` that replace those of the search.
        announce_data: Whether to print what was read of the data.

    Raises:
        InputError: If the folder does not hold a finished ENAS search, or a setting is illegal.
    """
    run = RunFolder(folder)
    run.check_is_run()
    cfg = read_run_configuration(folder)
    target = OmegaConf.select(cfg, "method._target_") if cfg.get("method") else None
    if not target or not issubclass(get_class(target), ENAS):
        method = cfg.get("method_name", "training")
        raise InputError(f"{run}: a run of {method}; only ENAS shares weights that can be judged")
    register_operations(cfg.get("operations"))  # before any code reads their names
    summary = _read_finished_summary(run)
    replace_settings(cfg, settings)
    if cfg.evaluation.get("rungs"):
        cfg.evaluation.rungs = []  # the judge trains to the end
    check_ranges(cfg)
    prepare_process(cfg)
    data = build_data(cfg, announce_data)
    trainer = instantiate(
        {**cfg.trainer, "devices": 1, "num_nodes": 1, "strategy": "auto"},
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    method = build_search(cfg.method, data, journal=None)
    assert isinstance(method, ENAS)
    _load_checkpoint(method, run.last_checkpoint)
    trainer.precision_plugin.convert_module(method)
    method.to(trainer.strategy.root_device)
    return FinishedSearch(run, cfg, data, method, trainer, summary)


def _read_finished_summary(run: RunFolder) -> dict[str, Any]:
    advice = f"to finish it: python search.py resume={shell_path(run.path)}"
    for path in (run.last_checkpoint, run.architecture, run.summary):
        if not path.exists():
            raise InputError(f"{run}: the search has not ended (no {path.name}); {advice}")
    summary = run.read_summary()
    if summary.get("status") != COMPLETE:  # the derived architecture is not from these weights
        raise InputError(f"{run}: the search was resumed or interrupted; {advice}")
    return summary


def _load_checkpoint(method: ENAS, path: Path) -> None:
    checkpoint = read_checkpoint(path)
    method.on_load_checkpoint(checkpoint)
    method.load_state_dict(checkpoint["state_dict"])


# ---- settings ------------------------------------------------------------------------------------


def replace_settings(cfg: DictConfig, settings: Sequence[str]) -> None:
    """Replace settings of a configuration in place.

    Args:
        cfg: Configuration of a run.
        settings: Settings ``name=value``. ``executor=NAME`` reads a file of ``configs/executor``
            and is applied before all others.

    Raises:
        InputError: If a setting is not allowed here, is unknown or has no value.
    """
    for setting in settings:
        if not setting.startswith(SETTABLE) or "=" not in setting:
            raise InputError(f"{setting}: legal are {', '.join(SETTABLE)} with a value")
    for setting in settings:
        if setting.startswith("executor="):
            files = {path.stem: path for path in sorted(EXECUTORS.glob("*.yaml"))}
            name = setting.removeprefix("executor=")
            if name not in files:
                raise InputError(f"{setting}: legal are {', '.join(files)}")
            cfg.executor = OmegaConf.load(files[name])
    dotted = [setting for setting in settings if not setting.startswith("executor=")]
    for setting in dotted:
        _check_name(cfg, setting)
    for name, value in parse_settings(dotted).items():
        OmegaConf.update(cfg, name, value, force_add=True)


def _check_name(cfg: DictConfig, setting: str) -> None:
    """Raise InputError for an unknown setting: OmegaConf would silently add it."""
    *parents, last = setting.partition("=")[0].split(".")
    while len(parents) > 1 and OmegaConf.select(cfg, ".".join(parents)) is None:
        last = parents.pop()  # name the outermost unknown setting
    group = OmegaConf.select(cfg, ".".join(parents)) if parents else cfg
    if setting.startswith(NETWORK) or (isinstance(group, DictConfig) and last in group):
        return
    names = [str(name) for name in group or () if not str(name).startswith("_")]
    legal = list_some(names, most=20) if isinstance(group, DictConfig) and names else "no settings"
    advice = "; to choose another one: executor=ray" if parents == ["executor"] else ""
    raise InputError(f"{setting}: {'.'.join(parents)} has {legal}{advice}")


# ---- samples and scores --------------------------------------------------------------------------


def sample_tokens(policy: Any, arm: str, seed: int, number: int) -> tuple[int, ...]:
    """Return the tokens of one sampled architecture, a function of arm, seed and number alone.

    Args:
        policy: Controller on the CPU; the random numbers of a GPU differ.
        arm: Name of the random stream.
        seed: Seed of all samples.
        number: Number of the sample in its stream, from 0.
    """
    generator = make_generator("judged", arm, seed, number)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return tuple(policy.sample(1).tokens_NT[0].tolist())


def score_architectures(
    search: FinishedSearch,
    tokens: Sequence[tuple[int, ...]],
    batches: int,
    poll: Poll = lambda: None,
) -> list[dict[str, float]]:
    """Return the validation accuracy of each architecture with the shared weights, by batch norm.

    Args:
        search: The finished search.
        tokens: Tokens of the architectures to score.
        batches: Number of training batches on which running statistics are gathered, if the search
            tracked none.
        poll: Function that is called after every batch and every score; it may raise to stop.
    """
    space, trainer = search.method.controller.space, search.trainer
    architectures = [space.decode(given) for given in tokens]
    search.data.trainer = trainer
    validation = []
    for batch in search.method.val_dataloader():
        validation.append(trainer.precision_plugin.convert_input(batch))
        poll()
    state = search.method.supernet.network.state_dict()
    scores: list[dict[str, float]] = [{} for _ in tokens]
    total = len(MODES) * len(tokens)
    with (
        tqdm(total=total, desc="Scoring", file=sys.stderr) as bar,
        trainer.precision_plugin.forward_context(),
    ):
        for mode in MODES:
            supernet = build_in_mode(mode, search.build_supernet, state)
            if mode == "recalibrated":
                images, _ = search.data.calibration_batch(search.method.calibration_images)
                supernet.calibration = trainer.precision_plugin.convert_input(images)
            if mode == "running" and not search.has_running_statistics:
                gather_statistics(supernet, _iterate_training(search, batches, poll))
            for place, accuracy in enumerate(supernet.rank(validation, architectures)):
                scores[place][mode] = float(accuracy)
                bar.update()
                poll()
    return scores


def _iterate_training(
    search: FinishedSearch, batches: int, poll: Poll
) -> Iterator[tuple[Tensor, Tensor, Architecture]]:
    """Yield training batches, each with a uniformly sampled architecture.

    Uniform samples use every layer, also those that the controller no longer chooses.
    """
    space = search.method.controller.space
    policy, loader = UniformController(space), search.data.train_dataloader()
    for number in range(batches):
        poll()
        if number % len(loader) == 0:
            loader.set_epoch(number // len(loader))
            iterator = iter(loader)
        tokens = sample_tokens(policy, "running statistics", search.cfg.seed, number)
        images, labels = search.trainer.precision_plugin.convert_input(next(iterator))
        yield images, labels, space.decode(tokens)
