"""What all commands do with a run folder, and the Trainer that they build from a configuration."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ProgressBar

from lightning_nas.callbacks.interrupt import Interrupted
from lightning_nas.callbacks.saving import AtomicCheckpointIO
from lightning_nas.data.base import ImageData
from lightning_nas.errors import InputError, as_user_error, log_and_continue
from lightning_nas.files import replace_text
from lightning_nas.layers.operations import register_operations
from lightning_nas.report.html import write_report
from lightning_nas.report.record import RESUMED
from lightning_nas.run.slurm import has_begun, is_restarted_job
from lightning_nas.storage.run_folder import display_path

log = logging.getLogger(__name__)
HALF = ("bf16-mixed", "16-mixed", "bf16-true", "16-true")


def build_data(cfg: DictConfig) -> ImageData:
    """Read the images, and tell the configuration of a search what they are."""
    data: ImageData = instantiate(cfg.data)
    data.prepare_data()
    data.setup()
    if cfg.get("supernet"):
        cfg.supernet.num_classes = data.num_classes
        cfg.supernet.channels = data.channels
        cfg.supernet.image_size = data.image_size
    return data


def build_trainer(cfg: DictConfig) -> pl.Trainer:
    """Return Lightning's Trainer with the callbacks and loggers of the configuration."""
    epochs = cfg.trainer.max_epochs
    if not isinstance(epochs, int) or (epochs != -1 and epochs < 1):
        raise InputError(f"trainer.max_epochs must be a whole number from 1 on, got {epochs}")
    loggers = [logger for logger in instantiate(cfg.logger).values() if logger is not None]
    callbacks = [call for call in instantiate(cfg.callbacks).values() if call is not None]
    trainer: pl.Trainer = instantiate(
        cfg.trainer,
        logger=loggers,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=any(isinstance(call, ProgressBar) for call in callbacks),
    )
    if trainer.strategy.root_device.type == "cpu" and trainer.precision in HALF:
        log.warning(
            "trainer.precision=%s is slow on a CPU: trainer.precision=32-true", trainer.precision
        )
    return trainer


def log_configuration(trainer: pl.Trainer, cfg: DictConfig) -> None:
    """Hand the whole configuration to the loggers."""
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    for logger in trainer.loggers:
        logger.log_hyperparams(settings)


def find_checkpoint(cfg: DictConfig) -> str | None:
    """Return the checkpoint from which to go on, if the run is resumed and has one."""
    if not cfg.resume:
        return None
    path = Path(cfg.resume) / "checkpoints" / "last.ckpt"
    if not path.exists():
        run = Path(cfg.resume)
        kept = ", with the children that have ended" if (run / "trials.sqlite").exists() else ""
        log.warning(
            "%s: no checkpoint yet; it begins at the first epoch%s", display_path(run), kept
        )
        return None
    return str(path)


@contextmanager
def run_folder(
    cfg: DictConfig, then: Callable[[Path], None] = lambda folder: None
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Seed, yield the run folder and the facts of its summary, and write the summary at the end.

    The W&B record ends after the report, which comes last where the run was interrupted. A user's
    error and a dry run remove the folder again if it holds nothing but its configuration; a user's
    error in resuming leaves the summary of before. A job that SLURM starts again goes on.

    Args:
        cfg: The configuration.
        then: Called with the folder once its summary is written, on the first process alone.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    if is_restarted_job() and has_begun(folder):
        cfg.resume = str(folder)
    before = _summary_before(folder, cfg)
    began = time.monotonic() - (json.loads(before)["seconds"] if before else 0.0)
    facts: dict[str, Any] = {
        "experiment": cfg.name,
        "method": _doing(cfg),
        "data": cfg.data._target_.split(".")[-2] if cfg.get("data") else cfg.evaluation.dataset,
    }
    # hardware and advertisements, of every Trainer; a child has one of its own
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    dry_run = cfg.get("dry_run", False)
    disposable = untouched = dry_run
    try:
        if not isinstance(cfg.seed, int):
            raise InputError(f"seed must be a whole number, got {cfg.seed}")
        register_operations(cfg.get("operations"))  # before anything reads their names
        pl.seed_everything(cfg.seed, verbose=False)
        yield folder, facts
        facts |= {"status": "complete"}
    except BaseException as error:
        facts |= {"status": "interrupted"}
        if isinstance(error, Interrupted):
            error.run = str(display_path(folder))
        if as_user_error(error) is not None:
            disposable, untouched = not cfg.resume, untouched or bool(cfg.resume)
            if before and _is_first():
                replace_text(folder / "summary.json", before)
        raise
    finally:
        bare = disposable and _is_bare(folder)
        kept, complete = not (bare or untouched), facts["status"] == "complete"
        if kept:
            _write_summary(folder, facts, began)
        if kept and complete and _is_first():
            then(folder)
        if "wandb" in cfg.logger:
            from lightning_nas.callbacks.wandb_upload import (
                finish_record,
            )  # half a second to import

            finish_record(folder if kept else None)
        if kept and not complete and _is_first():  # last: whoever stops a run may not wait
            then(folder)
        if bare:
            shutil.rmtree(folder, ignore_errors=True)


def _doing(cfg: DictConfig) -> str:
    """Return the name of the search method, by default that of its file, or what train.py does."""
    if "method" in cfg:
        return str(cfg.get("method_name") or cfg.method._target_.split(".")[-2])
    return str({"fit": "train"}.get(cfg.mode, cfg.mode))


def _is_bare(folder: Path) -> bool:
    """Whether the folder holds nothing but its configuration and records of a run not begun."""
    names = {path.name for path in folder.iterdir() if path.suffix != ".log"}
    return names <= {".hydra", "wandb", "wandb_id.txt"}


def _is_first() -> bool:
    return not (torch.distributed.is_initialized() and torch.distributed.get_rank() > 0)


def _summary_before(folder: Path, cfg: DictConfig) -> str | None:
    """Return the summary of a run that is resumed, as text; from now on it says "interrupted".

    Until the run ends again that is what it is, above all if it is killed.
    """
    path = folder / "summary.json"
    if not cfg.resume or not path.exists():
        return None
    before = path.read_text(encoding="utf-8")
    if not cfg.get("dry_run", False):
        facts = json.loads(before) | {"status": "interrupted"}
        replace_text(path, json.dumps(facts, indent=2) + "\n")
    return before


def note_resume_settings(folder: Path) -> None:
    """Write down with which settings a run goes on, for the report: they hold for this time."""
    task = HydraConfig.get().overrides.task
    given = [one.lstrip("+") for one in task if not one.startswith(("resume=", "~"))]
    path = folder / ".hydra" / RESUMED
    path.unlink(missing_ok=True)
    if given:
        replace_text(path, OmegaConf.to_yaml(given))


def _write_summary(folder: Path, facts: dict[str, Any], began: float) -> None:
    if not _is_first():
        return
    facts["seconds"] = round(time.monotonic() - began, 1)
    replace_text(folder / "summary.json", json.dumps(facts, indent=2) + "\n")


def write_report_safely(folder: Path) -> None:
    """Write the report of a search, whatever came of the search.

    What goes wrong in drawing is told, and takes nothing from what was found.
    """
    with log_and_continue(f"no report, all else is there: python -m lightning_nas.report {folder}"):
        try:
            write_report(folder)
        except InputError as error:  # it was broken off before there was a trial
            log.info("no report: %s", error)
        except KeyboardInterrupt:  # of one who will not wait for it
            log.warning(
                "no report; to have it: python -m lightning_nas.report %s", display_path(folder)
            )
