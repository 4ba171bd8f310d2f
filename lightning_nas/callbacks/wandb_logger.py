"""Weights & Biases: online where there is an account and a network, else offline. It never asks."""

import logging
import os
import secrets
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
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
    settings: dict[str, Any] = {"settings": wandb.Settings(silent=True, console="off")}
    if "WANDB_MODE" not in os.environ and _is_first():
        why = "as asked" if offline else None if offline is False else _why_offline()
        settings["mode"] = "offline" if why else "online"
        if why:
            log.warning(
                "W&B records offline (%s); to upload: wandb sync %s/wandb/offline-run-*",
                why,
                folder,
            )
    run_id = _run_id(folder / ID_FILE, resume is not None)
    logger = WandbLogger(project=project, save_dir=folder, id=run_id, **settings)
    logger._wandb_init.pop("anonymous", None)  # its None alone makes wandb print a warning
    return logger


def _is_first() -> bool:
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("RANK", "0") == "0"


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
    run_id = secrets.token_hex(4)
    path.write_text(run_id + "\n")
    return run_id
