"""A search, from its configuration to a run folder."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from lightning_nas.callbacks.derive import DeriveArchitecture
from lightning_nas.callbacks.interrupt import interruptible
from lightning_nas.callbacks.saving import explain_checkpoint
from lightning_nas.data.base import ImageData
from lightning_nas.errors import InputError
from lightning_nas.judge.numbers import Numbers
from lightning_nas.report.best_reward import explain_best_reward
from lightning_nas.report.record import read_run
from lightning_nas.report.table import format_best
from lightning_nas.report.verdict import describe_short_search, describe_verdict
from lightning_nas.run.build import build_search
from lightning_nas.run.checks import warn_of_controller
from lightning_nas.run.judging import estimate_judging, read_judging
from lightning_nas.run.parts import build_data, build_trainer, find_checkpoint, log_configuration
from lightning_nas.run.recorded import find_trusted_names
from lightning_nas.run.session import run_session, write_report_safely
from lightning_nas.run.testing import warn_of_guessing
from lightning_nas.run.time_budget import fit_search
from lightning_nas.search.base import Search
from lightning_nas.search.result import SearchResult
from lightning_nas.search.shared_search import SharedSearch
from lightning_nas.storage.run_folder import RunFolder, display_path, shell_path

log = logging.getLogger(__name__)


def search(cfg: DictConfig, judge: Callable[[Path], None] | None = None) -> float | None:
    """Search, derive an architecture, and print the result, the verdict and the next commands.

    Args:
        cfg: The composed configuration.
        judge: Function that judges the run folder of a complete search; it is called if the setting
            ``judge.at_end`` is true.

    Returns:
        The number of the summary that ``objective`` names, for a sweeper. None after a dry run, or
        if the search has no such number.
    """
    with run_session(cfg, write_report_safely) as session:
        folder = session.folder.path
        warn_of_controller()
        data = build_data(cfg) if cfg.get("data") else None  # a table needs no images
        if data is not None:
            session.note_data(data)
        fit_search(cfg, data, session.folder)
        module = build_search(cfg.method, data)
        numbers = read_judging(cfg, module)
        if cfg.dry_run:
            print(format_dry_run(module, cfg, numbers))
            return None
        trainer = build_trainer(cfg, session)
        if not any(isinstance(call, DeriveArchitecture) for call in trainer.callbacks):  # type: ignore[attr-defined]
            raise InputError("callbacks.derive is missing: it chooses the architecture at the end")
        # before Lightning starts one process for each device
        module.check_devices(trainer.num_devices * trainer.num_nodes)
        log_configuration(trainer, cfg)
        try:
            checkpoint = find_checkpoint(cfg)
            if cfg.get("finish"):
                _end_now(module, checkpoint)
            with interruptible(trainer), explain_checkpoint(checkpoint):
                trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        finally:
            module.teardown("fit")  # Lightning tears down only after a fit that succeeds
        assert module.result is not None
        session.add_facts(
            architectures=module.scored,
            **module.result.summary(),
            architecture=str(session.folder.architecture),
        )
    if trainer.is_global_zero:
        if data is not None:
            _warn_of_guessing(module.result, data)
        if judge is not None and numbers is not None:
            _judge(judge, folder, trainer.world_size)
        print_verdict(folder)
        print_result(folder, module.result)
    return module.result.summary().get(cfg.get("objective"))


def _warn_of_guessing(result: SearchResult, data: ImageData) -> None:
    """Warn if the chosen architecture is no better than guessing: the weights learned nothing."""
    accuracies = result.top[0].trial.outcome.accuracies
    if accuracies:
        images = data.split_sizes["validation"]
        warn_of_guessing(accuracies[-1], images, data.largest_share, "validation")


def _end_now(module: Search, checkpoint: str | None) -> None:
    """Let an interrupted search choose among what it has evaluated.

    Raises:
        InputError: If ENAS has no weights yet.
    """
    if isinstance(module, SharedSearch) and checkpoint is None:
        raise InputError(
            "finish=true: the search has no complete epoch, so its weights are untrained; "
            "resume=RUN continues it"
        )
    module.ends_now = True


def _judge(judge: Callable[[Path], None], folder: Path, processes: int) -> None:
    """Judge a complete search that ran in one process: the judge has a Trainer of its own."""
    if processes == 1:
        judge(folder)
        return
    command = f"python -m lightning_nas.judge {shell_path(folder)}"
    log.warning("a search in %s processes is not judged at its end; run: %s", processes, command)


def format_dry_run(module: Search, cfg: DictConfig, numbers: Numbers | None = None) -> str:
    """Return the estimated cost of a search as lines of a name and a value.

    Args:
        module: The search.
        cfg: The composed configuration.
        numbers: Numbers of trainings of the judgement at the end; None = no judgement.
    """
    make_trainer = partial(
        instantiate, cfg.trainer, logger=False, callbacks=[], enable_progress_bar=False
    )
    lines = module.estimate_cost(
        make_trainer, OmegaConf.select(cfg, "callbacks.derive.samples", default=1)
    )
    if numbers is not None:
        assert isinstance(module, SharedSearch)
        lines["judgement"] = estimate_judging(module, numbers)
    return "\n".join(f"{name:<17}{line}" for name, line in lines.items())


def print_verdict(folder: Path) -> None:
    """Print whether the search beat random search, and what a reader may misunderstand."""
    try:
        record = read_run(folder, find_trusted_names())
        verdict = str(describe_verdict(record))
        lines = [verdict, describe_short_search(record), explain_best_reward([record])]
        print("\n".join(["", *filter(None, lines)]))
    except InputError as error:  # the search itself is complete
        log.warning("no verdict: %s", error)


def print_result(folder: Path, result: SearchResult) -> None:
    """Print the result of a search, the paths of its files and the next command."""
    run = RunFolder(display_path(folder))
    report_line = f"\nreport        {run.report}" if run.has_current_report else ""
    print(
        f"\n{result}\n\n{format_best(result.top)}\n"
        f"\nrun folder    {run}\npicture       {run.picture}"
        f"{report_line}\ntrain it      python train.py architecture={shell_path(folder)}"
    )
