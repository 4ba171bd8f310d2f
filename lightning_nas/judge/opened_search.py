"""A search that has ended, taken up again from its run folder: what it draws, how that scores."""

import logging
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
from lightning_nas.data.seeding import seeded_generator
from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import Poll
from lightning_nas.files import read_json
from lightning_nas.judge.settings import replace_settings
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
from lightning_nas.run.arguments import read_run_configuration
from lightning_nas.run.build import build_search
from lightning_nas.run.session import build_data
from lightning_nas.storage.run_folder import display_path

CHECKPOINT = Path("checkpoints", "last.ckpt")


@dataclass
class OpenedSearch:
    """A search that has ended, as it lies in its run folder."""

    run: Path
    cfg: DictConfig
    data: ImageData
    method: ENAS
    trainer: pl.Trainer  # fits nothing: it knows the device and the precision
    summary: dict[str, Any]  # of ``summary.json``

    @property
    def derived(self) -> Architecture:
        """What the search chose."""
        return load_architecture(self.run)

    @property
    def tracks(self) -> bool:
        """Whether running statistics were tracked in it."""
        return tracks_statistics(self.method.supernet.network.state_dict())

    def supernet(self, batch_norm: str) -> SupernetModule:
        """Return new shared weights, of the size of the search's, with another batch norm."""
        cfg = OmegaConf.merge(self.cfg, {"supernet": {"batch_norm": batch_norm}})
        with torch.random.fork_rng(devices=[]):  # it is built on the CPU
            built: SupernetModule = instantiate(cfg.method.supernet)
        self.trainer.precision_plugin.convert_module(built)
        return built.to(self.trainer.strategy.root_device)


def open_search(run: Path, settings: Sequence[str] = ()) -> OpenedSearch:
    """Return what a run folder holds: images, shared weights and controller.

    Args:
        run: The run folder.
        settings: That replace those of the search.

    Raises:
        InputError: If it is no run folder of an ENAS search that has ended, or a setting is none of
            its.
    """
    cfg = read_run_configuration(run)
    if not cfg.get("method") or not issubclass(get_class(cfg.method._target_), ENAS):
        what = cfg.get("method_name", "training")
        raise InputError(f"{run}: of {what}, but weights are shared in searches of ENAS alone")
    register_operations(cfg.get("operations"))  # before anything reads their names
    summary = _summary(run)
    replace_settings(cfg, settings)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    data = build_data(cfg)
    trainer = instantiate(
        {**cfg.trainer, "devices": 1, "num_nodes": 1, "strategy": "auto"},
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    method = build_search(cfg.method, data, journal=None)
    assert isinstance(method, ENAS)
    _load(method, run / CHECKPOINT)
    trainer.precision_plugin.convert_module(method)
    return OpenedSearch(run, cfg, data, method.to(trainer.strategy.root_device), trainer, summary)


def _summary(run: Path) -> dict[str, Any]:
    """Return the summary of a search that has ended."""
    for path in (run / CHECKPOINT, run / "architecture.json", run / "summary.json"):
        if not path.exists():
            raise InputError(
                f"{run}: no {path.name}; the search has not ended: resume={display_path(run)}"
            )
    summary = read_json(run / "summary.json")
    if summary.get("status") != "complete":  # what was derived is not of these weights
        raise InputError(f"{run}: the search was resumed or stopped: resume={display_path(run)}")
    return summary


def _load(method: ENAS, path: Path) -> None:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises all sorts of them where a file is damaged
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason})") from None
    method.on_load_checkpoint(checkpoint)
    method.load_state_dict(checkpoint["state_dict"])


def draw_tokens(policy: Any, arm: str, seed: int, number: int) -> tuple[int, ...]:
    """Return the tokens of one architecture; its draw depends on arm, seed and number alone.

    Args:
        policy: A controller on the CPU, for a GPU's random numbers are others.
        arm: Whose architectures they are.
        seed: Of all draws.
        number: Of this one.
    """
    generator = seeded_generator("judged", arm, seed, number)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return tuple(policy.sample(1).tokens_NT[0].tolist())


def score_architectures(
    searched: OpenedSearch,
    tokens: Sequence[tuple[int, ...]],
    batches: int,
    poll: Poll = lambda: None,
) -> list[dict[str, float]]:
    """Return the accuracy of each architecture on the validation split, by mode of batch norm.

    Args:
        searched: The search.
        tokens: Of the architectures.
        batches: On which running statistics are gathered, where none were tracked.
        poll: Called after each and after each batch that is read; may raise to stop.
    """
    space, data, trainer = searched.method.controller.space, searched.data, searched.trainer
    architectures = [space.decode(given) for given in tokens]
    data.trainer = trainer
    validation = []
    for batch in data.val_dataloader():
        validation.append(trainer.precision_plugin.convert_input(batch))
        poll()
    scores: list[dict[str, float]] = [{} for _ in tokens]
    total = len(MODES) * len(tokens)
    with (
        tqdm(total=total, desc="Scoring", file=sys.stderr) as bar,
        trainer.precision_plugin.forward_context(),
    ):
        for mode in MODES:
            supernet = _in_mode(searched, mode, batches, poll)
            for place, accuracy in enumerate(supernet.rank(validation, architectures)):
                scores[place][mode] = float(accuracy)
                bar.update()
                poll()
    return scores


def _in_mode(searched: OpenedSearch, mode: str, batches: int, poll: Poll) -> SupernetModule:
    method = searched.method
    supernet = build_in_mode(mode, searched.supernet, method.supernet.network.state_dict())
    if mode == "recalibrated":
        images, _ = searched.data.calibration_batch(method.calibration_images)
        supernet.calibration = searched.trainer.precision_plugin.convert_input(images)
    if mode == "running" and not searched.tracks:
        gather_statistics(supernet, _training_batches(searched, batches, poll))
    return supernet


def _training_batches(
    searched: OpenedSearch, batches: int, poll: Poll
) -> Iterator[tuple[Tensor, Tensor, Architecture]]:
    """Yield batches as in training, each with an architecture that is drawn uniformly.

    Uniformly, for those that are judged are: no layer is left out, whatever the controller prefers.
    """
    space = searched.method.controller.space
    uniform, loader = UniformController(space), searched.data.train_dataloader()
    for number in range(batches):
        poll()
        if number % len(loader) == 0:
            loader.set_epoch(number // len(loader))
            images = iter(loader)
        tokens = draw_tokens(uniform, "running statistics", searched.cfg.seed, number)
        yield *searched.trainer.precision_plugin.convert_input(next(images)), space.decode(tokens)
