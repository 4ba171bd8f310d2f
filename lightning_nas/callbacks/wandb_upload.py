"""Upload of results to Weights & Biases: a table of architectures, and files as artifacts.

The folder of the W&B record gets hard links to the files, so that ``wandb sync`` can upload the
files of an offline record later.
"""

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
from lightning_nas.files import read_csv
from lightning_nas.published import load_architecture
from lightning_nas.report.draw import draw
from lightning_nas.report.table import COLUMNS, list_figures
from lightning_nas.search.result import RankedArchitecture
from lightning_nas.storage.run_folder import RunFolder

TABLE = "top"
DATA_DIR = "WANDB_DATA_DIR"  # folder in which W&B keeps files of artifacts until the upload
FIGURES = COLUMNS[:-1]
# Figures, architecture, and the picture of the architecture; None = draw a picture.
Row = tuple[Sequence[Any], Architecture, Path | None]


def log_ranked(ranked: Sequence[RankedArchitecture]) -> None:
    """Log the best architectures so far as a table with pictures in the open record."""
    run = wandb.run
    if run is None or run.disabled or not ranked:
        return
    with _stage_in_record(run):
        _log_table(run, ((list_figures(one), one.architecture, None) for one in ranked))


def finish_record(folder: Path | None) -> None:
    """Upload the results of a run folder and end the record. Errors of W&B are only logged.

    Args:
        folder: Run folder with a ``summary.json``; None = only end the record.
    """
    if folder is not None:
        with log_and_continue(f"W&B did not receive all results of this run; they are in {folder}"):
            upload(folder)
    with log_and_continue("W&B could not end the record"):
        finish()


def upload(folder: Path) -> None:
    """Add the results of a run folder to the open record, if there is one.

    If the run was interrupted, only the summary is added: a resumed run replaces the files, and an
    upload would delay the end of the run.

    Args:
        folder: Run folder with a ``summary.json``.
    """
    run = wandb.run
    if run is None or run.disabled:  # only the first process has a record
        return
    facts = RunFolder(folder).read_summary()
    run.summary.update({name: v for name, v in facts.items() if isinstance(v, int | float)})
    run.summary.update({"status": facts["status"]})
    if facts["status"] == "complete":
        with _stage_in_record(run) as staging:
            _log_results(run, folder, staging)
            _log_artifact(run, "report", "report", [RunFolder(folder).report], staging)


def _log_results(run: Any, folder: Path, staging: Path) -> None:
    """Log the table, picture and file of the architecture, and the checkpoint."""
    found = RunFolder(folder)
    if found.top.exists():
        _log_table(run, _read_top(found))
    if found.picture.exists():
        run.log({"architecture": wandb.Image(str(found.picture))})
    files = [found.architecture.with_suffix(suffix) for suffix in (".json", ".svg", ".png")]
    _log_artifact(run, "architecture", "architecture", files, staging)
    if found.best_checkpoint.exists() or found.last_checkpoint.exists():
        _log_artifact(run, "checkpoint", "model", [found.find_trained_checkpoint()], staging)


def _read_top(folder: RunFolder) -> Iterator[Row]:
    """Yield the rows of ``top.csv``. The first row is the chosen architecture, with its picture."""
    for place, row in enumerate(read_csv(folder.top)):
        values = [float(row[name]) if row[name] else None for name in FIGURES]
        picture = folder.picture if place == 0 else None
        yield values, load_architecture(str(folder.path / row["architecture"])), picture


def _log_table(run: Any, rows: Iterable[Row]) -> None:
    table = wandb.Table([*FIGURES, "picture"])
    with tempfile.TemporaryDirectory() as pictures:
        for place, (values, architecture, picture) in enumerate(rows):
            path = picture or Path(pictures) / f"{place}.png"
            if picture is None:
                draw(architecture, path)
            table.add_data(*values, wandb.Image(str(path)))
        run.log({TABLE: table})


def _log_artifact(run: Any, name: str, kind: str, paths: Iterable[Path], staging: Path) -> None:
    """Log the files that exist as one artifact; do nothing if none exists."""
    existing = [path for path in paths if path.exists()]
    if existing:
        artifact = wandb.Artifact(f"{name}-{run.id}", kind)
        for path in existing:
            artifact.add_file(str(_link(path, staging)), path.name, policy="immutable")
        run.log_artifact(artifact)


def _link(path: Path, staging: Path) -> Path:
    """Return a hard link to a file: the link keeps the content if the file is replaced later."""
    link = staging / path.name
    try:
        os.link(path, link)
    except OSError:  # the file system has no hard links
        shutil.copyfile(path, link)
    return link


@contextmanager
def _stage_in_record(run: Any) -> Iterator[Path]:
    """Let W&B keep files of artifacts in the record's folder, unless the user set a folder."""
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
