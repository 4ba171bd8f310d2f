"""What a run hands to W&B beside its curves: architectures as a table, and files as artifacts.

All of it lies in the record's own folder, so that ``wandb sync`` finds it there later.
"""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb

from lightning_nas.architecture import Architecture
from lightning_nas.callbacks.wandb_logger import finish
from lightning_nas.errors import log_and_continue
from lightning_nas.published import load_architecture
from lightning_nas.report.draw import draw
from lightning_nas.report.table import COLUMNS, list_figures
from lightning_nas.search.result import RankedArchitecture

TABLE = "top"
DATA_DIR = "WANDB_DATA_DIR"  # where W&B puts files of artifacts until they are uploaded
ARCHITECTURE = ("architecture.json", "architecture.svg", "architecture.png")
FIGURES = COLUMNS[:-1]
Row = tuple[Sequence[Any], Architecture, Path | None]  # figures, and a picture if there is one


def log_ranked(ranked: Sequence[RankedArchitecture]) -> None:
    """Log the best so far as a table, each with a picture, in the record that is open."""
    run = wandb.run
    if run is None or run.disabled or not ranked:
        return
    with _in_the_record(run):
        _log_table(run, ((list_figures(one), one.architecture, None) for one in ranked))


def finish_record(folder: Path | None) -> None:
    """Add to the open record what its run folder holds, and end it. W&B cannot spoil a run.

    Args:
        folder: The run folder, with its ``summary.json``; None = there is nothing to add.
    """
    if folder is not None:
        with log_and_continue(f"W&B has not all of this run; {folder} has"):
            upload(folder)
    with log_and_continue("W&B did not end its record"):
        finish()


def upload(folder: Path) -> None:
    """Add to the open record, if there is one, what its run folder holds at the end.

    Of a run that was interrupted that is its summary: the files of one that is to go on will be
    replaced, and whoever stops it may not wait.

    Args:
        folder: The run folder, with its ``summary.json``.
    """
    run = wandb.run
    if run is None or run.disabled:  # of several processes, the first alone has one
        return
    facts = json.loads((folder / "summary.json").read_text())
    run.summary.update({name: v for name, v in facts.items() if isinstance(v, int | float)})
    run.summary.update({"status": facts["status"]})
    if facts["status"] == "complete":
        with _in_the_record(run) as staging:
            _log_found(run, folder, staging)
            _log_artifact(run, "report", "report", [folder / "report.html"], staging)


def _log_found(run: Any, folder: Path, staging: Path) -> None:
    """Log the architecture that a search chose or a training has trained, and the weights."""
    files = [folder / name for name in ARCHITECTURE]
    if (folder / "top.csv").exists():
        _log_table(run, _top(folder))
    if files[-1].exists():
        run.log({"architecture": wandb.Image(str(files[-1]))})
    _log_artifact(run, "architecture", "architecture", files, staging)
    kept = [folder / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
    _log_artifact(run, "checkpoint", "model", [p for p in kept if p.exists()][:1], staging)


def _top(folder: Path) -> Iterator[Row]:
    """Yield the rows of ``top.csv``; the first is that of ``architecture.png``."""
    with (folder / "top.csv").open(newline="") as file:
        for place, row in enumerate(csv.DictReader(file)):
            values = [float(row[name]) if row[name] else None for name in FIGURES]
            picture = folder / "architecture.png" if place == 0 else None
            yield values, load_architecture(str(folder / row["architecture"])), picture


def _log_table(run: Any, rows: Iterable[Row]) -> None:
    table = wandb.Table([*FIGURES, "picture"])
    with tempfile.TemporaryDirectory() as drawn:
        for place, (values, architecture, picture) in enumerate(rows):
            path = picture or Path(drawn) / f"{place}.png"
            if picture is None:
                draw(architecture, path)
            table.add_data(*values, wandb.Image(str(path)))
        run.log({TABLE: table})


def _log_artifact(run: Any, name: str, kind: str, paths: Iterable[Path], staging: Path) -> None:
    """Log those of some files that are there as one artifact, if any are."""
    there = [path for path in paths if path.exists()]
    if there:
        artifact = wandb.Artifact(f"{name}-{run.id}", kind)
        for path in there:
            artifact.add_file(str(_kept(path, staging)), path.name, policy="immutable")
        run.log_artifact(artifact)


def _kept(path: Path, staging: Path) -> Path:
    """Return a second name for a file, under which it stays as it is when the first is replaced."""
    kept = staging / path.name
    try:
        os.link(path, kept)
    except OSError:  # a file system without links
        shutil.copyfile(path, kept)
    return kept


@contextmanager
def _in_the_record(run: Any) -> Iterator[Path]:
    """Let W&B put files of artifacts beside the record, where the user does not say otherwise."""
    folder = Path(run.dir).parent
    staging = folder / "artifacts" / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    if DATA_DIR in os.environ:
        yield staging
        return
    os.environ[DATA_DIR] = str(folder)
    try:
        yield staging
    finally:
        del os.environ[DATA_DIR]
