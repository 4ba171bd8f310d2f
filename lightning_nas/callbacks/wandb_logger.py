"""Weights & Biases: online where there is an account and a network, else offline. It never asks."""

import logging
import os
import secrets
import socket
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import wandb
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

log = logging.getLogger(__name__)
PROBE_SECONDS = 2.0
ID_FILE = "wandb_id.txt"


def wandb_logger(
    folder: str | Path, project: str, offline: bool | None = None, resume: str | None = None
) -> WandbLogger:
    """Return Lightning's logger for a run folder.

    Args:
        folder: The run folder: the record lies in its ``wandb/``.
        project: Name of the project.
        offline: Record without a network. None = where there is no API key (``wandb login`` stores
            one) or the server does not answer within two seconds.
        resume: Not None: go on in the record of the same run folder.
    """
    folder = Path(folder)
    logger = WandbLogger(
        project=project,
        save_dir=folder,
        id=_run_id(folder / ID_FILE, resume is not None),
        mode=_mode(folder, offline),
        settings=wandb.Settings(silent=True, console="off"),
    )
    logger._wandb_init.pop("anonymous", None)  # its None alone makes wandb print a warning
    return logger


@rank_zero_only
def _mode(folder: Path, offline: bool | None) -> str | None:
    """Return ``online`` or ``offline``; None where the user's environment says it."""
    if "WANDB_MODE" in os.environ:
        return None
    why = _why_offline() if offline is None else "as asked" if offline else None
    if why is None:
        return "online"
    log.warning(
        "W&B records offline (%s); to upload: wandb sync %s/wandb/offline-run-*", why, folder
    )
    return "offline"


def _why_offline() -> str | None:
    if not wandb.login(prompt=False, verify=False):
        return "no API key: wandb login"
    server = urlsplit(wandb.setup().settings.base_url)
    port = server.port or (443 if server.scheme == "https" else 80)
    return None if _answers(server.hostname, port) else f"{server.hostname} does not answer"


def _answers(host: str | None, port: int) -> bool:
    answered = threading.Event()

    def probe() -> None:
        with suppress(OSError):
            socket.create_connection((host, port), PROBE_SECONDS).close()
            answered.set()

    # A thread, for a name that cannot be looked up keeps its caller for longer than any time-out.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answered.is_set()


def finish() -> None:
    """End the record, if there is one, so that the next run in this process begins its own."""
    if wandb.run is not None:
        wandb.finish()


@rank_zero_only
def _run_id(path: Path, resumed: bool) -> str:
    """Return the identity of the record, kept in the run folder so that a resumed run goes on."""
    if resumed and path.exists():
        return path.read_text().strip()
    run_id = os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4)  # that of a sweep's agent
    path.write_text(run_id + "\n")
    return run_id
