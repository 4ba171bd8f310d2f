"""A search, from its configuration to a run folder."""

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from lightning_nas.callbacks.derive import DeriveArchitecture
from lightning_nas.callbacks.interrupt import interruptible
from lightning_nas.report.html import NAME
from lightning_nas.report.table import format_top
from lightning_nas.run.dry_run import estimate_cost
from lightning_nas.run.session import (
    build_data,
    build_trainer,
    find_checkpoint,
    log_configuration,
    note_resume_settings,
    run_session,
    write_report_safely,
)
from lightning_nas.search.result import SearchResult
from lightning_nas.search.trial_search import TrialSearch
from lightning_nas.storage.run_folder import display_path

log = logging.getLogger(__name__)


def search(cfg: DictConfig) -> None:
    """Search, derive, and say what can be done with what was found."""
    with run_session(cfg, write_report_safely) as session:
        folder = session.folder.path
        data = build_data(cfg) if cfg.get("data") else None  # a table needs none
        method = instantiate(cfg.method, data=data)
        if cfg.dry_run:
            print(estimate_cost(method, cfg))
            return
        trainer = build_trainer(cfg)
        if isinstance(method, TrialSearch):  # before Lightning starts a process for each
            method.check(trainer.num_devices * trainer.num_nodes)
        log_configuration(trainer, cfg)
        if cfg.resume and trainer.is_global_zero:
            note_resume_settings(folder)
        derive = next(c for c in trainer.callbacks if isinstance(c, DeriveArchitecture))  # type: ignore[attr-defined]
        try:
            with interruptible(trainer):
                trainer.fit(method, ckpt_path=find_checkpoint(cfg), weights_only=True)
        finally:
            method.teardown("fit")  # Lightning does so only after a fit that succeeds
        assert derive.derived is not None
        session.add_facts(
            architectures=method.scored,
            **derive.derived.summary(),
            architecture=str(session.folder.architecture),
        )
    if trainer.is_global_zero:
        print_result(folder, derive.derived)


def print_result(folder: Path, derived: SearchResult) -> None:
    """Print where the result lies and how to go on."""
    run = display_path(folder)
    report = f"\nreport        {run}/{NAME}" if (folder / NAME).exists() else ""
    print(
        f"\n{derived}\n\n{format_top(derived.top)}\n"
        f"\nrun folder    {run}\npicture       {run}/architecture.png"
        f"{report}\ntrain it      python train.py architecture={run}"
    )
