"""The W&B logger: online if there is an account and a network, otherwise offline. No prompts."""

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

from lightning_nas.storage.run_folder import RunFolder

log = logging.getLogger(__name__)
PROBE_SECONDS = 2.0


def wandb_logger(
    folder: str | Path, project: str, offline: bool | None = None, resume: str | None = None
) -> WandbLogger:
    """Return Lightning's W&B logger for a run folder.

    Args:
        folder: Run folder. The record is written to its ``wandb/``.
        project: Name of the W&B project.
        offline: Whether to record offline. None = offline if there is no API key (``wandb login``
            stores one) or if the server does not answer within two seconds.
        resume: If not None, continue the record of the run folder.
    """
    folder = Path(folder)
    logger = WandbLogger(
        project=project,
        save_dir=folder,
        id=_run_id(RunFolder(folder).wandb_id, resume is not None),
        mode=_mode(folder, offline),
        settings=wandb.Settings(silent=True, console="off"),
    )
    logger._wandb_init.pop(
        "anonymous", None
    )  # wandb prints a warning if the key exists, even if it is None
    return logger


@rank_zero_only
def _mode(folder: Path, offline: bool | None) -> str | None:
    """Return ``online`` or ``offline``; None if the environment variable of W&B decides."""
    if "WANDB_MODE" in os.environ:
        return None
    why = _why_offline() if offline is None else "offline=true" if offline else None
    if why is None:
        return "online"
    log.warning(
        "W&B records offline (%s); to upload the record: wandb sync %s/wandb/offline-run-*",
        why,
        folder,
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

    # The look-up of an unknown name ignores time-outs: it runs in a thread that can be abandoned.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answered.is_set()


def finish() -> None:
    """End the open record, if any, so that the next run in this process starts its own."""
    if wandb.run is not None:
        wandb.finish()


@rank_zero_only
def _run_id(path: Path, resumed: bool) -> str:
    """Return the ID of the record, which the run folder stores for a resumed run."""
    if resumed and path.exists():
        return path.read_text().strip()
    run_id = os.environ.get("WANDB_RUN_ID") or secrets.token_hex(
        4
    )  # the variable is set by the agent of a sweep
    path.write_text(run_id + "\n")
    return run_id
